from setuptools import setup

package_name = "vla_system_tests"

setup(
    name=package_name,
    version="0.1.0",
    packages=[package_name],
    package_data={package_name: ["*.yaml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},  # by this, colcon test runs pytest
    zip_safe=True,
    maintainer="vla-ros2 maintainers",
    maintainer_email="maintainers@example.com",
    description="Tests of the whole suite: real launch files and processes, watched from outside.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "faulty_policy_node = vla_system_tests.faulty_policy_node:main",
        ]
    },
)
