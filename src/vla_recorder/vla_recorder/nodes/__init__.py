"""The ROS node of the recorder; the only modules here that import rclpy and rosbag2_py."""
