from setuptools import find_packages, setup

package_name = "vla_policy"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed", "tokenizers/*.model"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},  # without it colcon runs unittest
    zip_safe=True,
    maintainer="vla-ros2 maintainers",
    maintainer_email="maintainers@example.com",
    description="pi0-family models, checkpoints, robot transforms, and the policy and executor"
    " nodes.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "executor_node = vla_policy.nodes.executor_node:main",
            "policy_node = vla_policy.nodes.policy_node:main",
            "lifecycle_manager = vla_policy.nodes.lifecycle_manager:main",
            "preflight = vla_policy.cli.preflight:main",
            "convert_checkpoint = vla_policy.cli.convert_checkpoint:main",
            "infer = vla_policy.cli.infer:main",
            "inspect = vla_policy.cli.inspect:main",
            "list = vla_policy.cli.list:main",
            "make_random_checkpoint = vla_policy.cli.make_random_checkpoint:main",
        ],
    },
)
