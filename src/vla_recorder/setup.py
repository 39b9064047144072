from setuptools import find_packages, setup

package_name = "vla_recorder"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},  # without it colcon runs unittest
    zip_safe=True,
    maintainer="vla-ros2 maintainers",
    maintainer_email="maintainers@example.com",
    description="Episode recording and conversion of bags into LeRobot datasets.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "convert = vla_recorder.cli.convert:main",
            "recover = vla_recorder.cli.recover:main",
            "dataset = vla_recorder.cli.dataset:main",
            "import_dataset = vla_recorder.cli.import_dataset:main",
            "parity = vla_recorder.cli.parity:main",
            "episode_recorder = vla_recorder.nodes.episode_recorder:main",
        ],
    },
)
