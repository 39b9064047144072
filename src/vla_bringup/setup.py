from collections import defaultdict
from pathlib import Path

from setuptools import find_packages, setup

package_name = "vla_bringup"
share = Path("share") / package_name

shared: dict[str, list[str]] = defaultdict(list)
for path in [*Path("launch").glob("*.launch.py"), *Path("config").rglob("*.*")]:
    if path.is_file():
        shared[str(share / path.parent)].append(str(path))

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (str(share), ["package.xml"]),
        *shared.items(),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},  # without it colcon runs unittest
    zip_safe=True,
    maintainer="vla-ros2 maintainers",
    maintainer_email="maintainers@example.com",
    description="Launch files, robot contracts, simulated robots and the demo.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "aloha_sim = vla_bringup.sim.aloha_sim_node:main",
            "fake_robot = vla_bringup.sim.fake_robot_node:main",
            "teleop = vla_bringup.teleop.teleop_node:main",
            "demo = vla_bringup.demo.main:main",
        ]
    },
)
