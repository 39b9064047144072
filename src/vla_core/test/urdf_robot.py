"""A small robot description for tests: a turning column, a shoulder and a slide, then a tool."""

from __future__ import annotations

URDF = """\
<?xml version="1.0"?>
<robot name="tester">
  <link name="base"/><link name="column"/><link name="arm"/><link name="slide"/><link name="tool"/>
  <link name="finger"/><link name="other_finger"/>
  <joint name="pan" type="continuous">
    <parent link="base"/><child link="column"/><origin xyz="0 0 0.3"/><axis xyz="0 0 1"/>
    <limit effort="1" velocity="2"/>
  </joint>
  <joint name="lift" type="revolute">
    <parent link="column"/><child link="arm"/>
    <origin xyz="0.1 0 0" rpy="0.1 -0.2 0.3"/><axis xyz="0 2 0"/>
    <limit lower="-1.2345678" upper="1.2345678" velocity="1.5" effort="1"/>
    <safety_controller soft_lower_limit="-1" soft_upper_limit="2" k_velocity="1"/>
  </joint>
  <joint name="reach" type="prismatic">
    <parent link="arm"/><child link="slide"/><origin xyz="0.4 0 0"/><axis xyz="1 0 0"/>
    <limit lower="0" upper="0.25" velocity="0.2" effort="1"/>
  </joint>
  <joint name="flange" type="fixed">
    <parent link="slide"/><child link="tool"/><origin xyz="0.05 0.02 0" rpy="0 0 1.5708"/>
  </joint>
  <joint name="grip" type="prismatic">
    <parent link="tool"/><child link="finger"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="0.04" velocity="0.1" effort="1"/>
  </joint>
  <joint name="grip_mirror" type="prismatic">
    <parent link="tool"/><child link="other_finger"/><mimic joint="grip"/>
    <limit lower="0" upper="0.04" velocity="0.1" effort="1"/>
  </joint>
</robot>
"""
