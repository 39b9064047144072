"""Lifecycle nodes change their state on events, and their changes are events."""

from collections.abc import Callable

import pytest
from launch_ros.events.lifecycle import ChangeState

Run = Callable[[str], tuple[int, str]]

NODE = """
def ask(transition):
    return EmitEvent(event=ChangeState(
        lifecycle_node_matcher=matches_action(node), transition_id=transition))
def reaching(*entities, **states):
    return RegisterEventHandler(OnStateTransition(
        target_lifecycle_node=node, entities=list(entities), **states))
node = LifecycleNode(package='sample', executable='life', name='life', namespace='arm',
    output='screen', parameters=[{'refuse': REFUSE}])
yield node
yield ask(Transition.TRANSITION_CONFIGURE)
"""


def test_a_node_is_configured_then_activated_by_events(run: Run) -> None:
    code, output = run(
        NODE.replace("REFUSE", "False")
        + "yield reaching(LogInfo(msg='is configured'), ask(Transition.TRANSITION_ACTIVATE),\n"
        "    start_state='configuring', goal_state='inactive')\n"
        "yield reaching(LogInfo(msg='is active'), Shutdown(), goal_state='active')\n"
    )
    assert code == 0
    assert output.index("is configured") < output.index("is active")
    assert "process has finished cleanly" in output


def test_a_transition_that_fails_is_reported_and_can_be_reacted_to(run: Run) -> None:
    code, output = run(
        NODE.replace("REFUSE", "True")
        + "yield reaching(LogInfo(msg='went back'), TimerAction(period=0.5, actions=[Shutdown()]),"
        "\n    start_state='configuring', goal_state='unconfigured')\n"
    )
    assert code == 0
    assert "went back" in output
    assert (
        "Failed to make transition 'TRANSITION_CONFIGURE' for LifecycleNode '/arm/life'" in output
    )


@pytest.mark.parametrize(
    ("what_else", "reason"),
    [
        ("TimerAction(period=0.5, actions=[Shutdown()])", "due to shutdown"),
        ("LogInfo(msg='nothing')", "as its process has ended"),
    ],
)
def test_the_wait_for_a_node_that_does_not_answer_is_abandoned(
    run: Run, what_else: str, reason: str
) -> None:
    code, output = run(
        NODE.replace("REFUSE", "False").replace("'life', name", "'show', name")
        + f"yield {what_else}\n"
    )
    assert code == 0
    assert f"Abandoning wait for the '/arm/show/change_state' service, {reason}." in output


def test_a_transition_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="99"):
        ChangeState(lifecycle_node_matcher=lambda node: True, transition_id=99)
