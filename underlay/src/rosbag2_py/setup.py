from setuptools import find_packages, setup

package_name = "rosbag2_py"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},  # without it colcon runs unittest
    zip_safe=True,
    maintainer="vla-ros2 maintainers",
    maintainer_email="maintainers@example.com",
    description="Recording, reading and playing of bags, where the full ROS 2 is absent.",
    license="Apache-2.0",
)
