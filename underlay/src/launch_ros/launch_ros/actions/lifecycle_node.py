"""Running a lifecycle node: its state is changed by events, and its changes are events."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import lifecycle_msgs.msg
import lifecycle_msgs.srv
from launch import (
    EventHandler,
    LaunchContext,
    LaunchDescriptionEntity,
    SomeSubstitutionsType,
    logging,
)
from launch.actions import OpaqueFunction

from ..events.lifecycle import ChangeState, StateTransition
from ..ros_adapters import get_ros_node
from .node import Node

_POLL_S = 1.0  # how often a wait for the node looks whether the launch shuts down


class LifecycleNode(Node):
    """Runs a lifecycle node. It handles ChangeState events and emits StateTransition events."""

    def __init__(
        self, *, name: SomeSubstitutionsType, namespace: SomeSubstitutionsType, **kwargs: Any
    ) -> None:
        super().__init__(name=name, namespace=namespace, **kwargs)
        self._logger_of_states = logging.get_logger(__name__)

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        self._resolve_name(context)
        node = get_ros_node(context)
        loop = context.asyncio_loop
        assert loop is not None

        def announce(message: lifecycle_msgs.msg.TransitionEvent) -> None:
            event = StateTransition(action=self, msg=message)
            loop.call_soon_threadsafe(context.emit_event_sync, event)

        self._subscription = node.create_subscription(
            lifecycle_msgs.msg.TransitionEvent, f"{self.node_name}/transition_event", announce, 10
        )
        self._client = node.create_client(
            lifecycle_msgs.srv.ChangeState, f"{self.node_name}/change_state"
        )
        context.register_event_handler(
            EventHandler(
                matcher=lambda event: isinstance(event, ChangeState),
                entities=OpaqueFunction(function=self._on_change_state),
            )
        )
        return super().execute(context)

    def _on_change_state(self, context: LaunchContext) -> None:
        event = context.locals.event
        if event.lifecycle_node_matcher(self):
            assert context.asyncio_loop is not None
            context.add_completion_future(
                context.asyncio_loop.run_in_executor(
                    None, self._change_state, event.transition_id, context
                )
            )

    def _change_state(self, transition_id: int, context: LaunchContext) -> None:
        """Wait for the service, call it and log a failure; runs in a worker thread."""
        try:
            while not self._client.wait_for_service(timeout_sec=_POLL_S):
                if reason := self._no_answer_comes(context):
                    return self._abandon("service", reason)
        except RuntimeError:  # shutting down ends the ROS context, even during the wait
            return self._abandon("service", "due to shutdown")
        request = lifecycle_msgs.srv.ChangeState.Request()
        request.transition.id = transition_id
        answered = threading.Event()
        future = self._client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        while not answered.wait(_POLL_S):
            if reason := self._no_answer_comes(context):
                future.cancel()
                return self._abandon("service response", reason)
        if not future.result().success:
            self._logger_of_states.error(
                f"Failed to make transition '{ChangeState.valid_transitions[transition_id]}' "
                f"for LifecycleNode '{self.node_name}'"
            )
        return None

    def _no_answer_comes(self, context: LaunchContext) -> str:
        """Return why there is nothing to wait for, or an empty string if there may be."""
        if context.is_shutdown:
            return "due to shutdown"
        ended = self._task is not None and self._task.done()
        return "as its process has ended" if ended else ""

    def _abandon(self, what: str, reason: str) -> None:
        self._logger_of_states.warning(
            f"Abandoning wait for the '{self._client.srv_name}' {what}, {reason}."
        )
