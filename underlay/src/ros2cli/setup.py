from setuptools import find_packages, setup

package_name = "ros2cli"

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
    zip_safe=False,  # commands are found by listing a folder
    maintainer="vla-ros2 maintainers",
    maintainer_email="maintainers@example.com",
    description="The part of the ros2 command line that this suite uses.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["ros2 = ros2cli.cli:main"]},
)
