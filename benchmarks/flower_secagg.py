"""Flower's SecAgg+ on one size, by Flower's own client and server code, for `benchmarks.masks`:

PYTHON benchmarks/flower_secagg.py HOSPITALS CELLS LOST SHARES THRESHOLD CLIENTS

PYTHON has `flwr` and not Dure. Its workflow's stages and its client mod run in this process; what stands between them (gRPC, Ray) is replaced by
calls, so that only the protocol is timed. Prints processor seconds of a client (mean of all) and of the server, and the bytes that a client sends, as JSON.
CLIENTS: 0 for the whole workflow; else so many clients' stages up to the masked vector only, with keys of the others that are made untimed.
"""

import json
import logging
import sys
import time
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.client.mod.secure_aggregation import secaggplus_mod as mod
from flwr.common import Code, FitIns, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.secure_aggregation.crypto.symmetric_encryption import encrypt, generate_shared_key
from flwr.common.secure_aggregation.secaggplus_constants import (
    RECORD_KEY_CONFIGS,
    RECORD_KEY_STATE,
    Key,
    Stage,
)
from flwr.common.secure_aggregation.secaggplus_utils import share_keys_plaintext_concat
from flwr.compat.common import recorddict_compat as compat
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.secure_aggregation.secaggplus_workflow import SecAggPlusWorkflow, WorkflowState
from flwr.supercore.primitives.asymmetric import bytes_to_private_key, bytes_to_public_key
from flwr.supercore.task_identity import TaskIdentity

STAGES = ("setup", "share_keys", "collect_masked_vectors", "unmask")


class Grid:
    """Calls clients one after the other, and times them."""

    def __init__(self, hospitals, cells, lost):
        self.numbers = [np.arange(cells, dtype=np.float64) % 7 - 3]
        self.lost = set(range(hospitals - lost + 1, hospitals + 1))
        self.contexts = {
            node: Context(
                run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={}, series_id=0
            )
            for node in range(1, hospitals + 1)
        }
        self.stage = 0
        self.seconds, self.bytes = 0.0, 0

    def fitted(self, message, context):
        result = FitRes(
            status=Status(code=Code.OK, message=""), parameters=ndarrays_to_parameters(self.numbers),
            num_examples=1000, metrics={},
        )  # fmt: skip
        return Message(compat.fitres_to_recorddict(result, True), reply_to=message)

    def send_and_receive(self, messages, timeout=None):
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            if self.stage >= 2 and node in self.lost:
                continue
            # A client takes its message apart; between machines each would have its own.
            told = message.metadata
            message = Message(  # noqa: PLW2901
                content=deepcopy(message.content),
                dst_node_id=node,
                message_type=told.message_type,
                group_id=told.group_id,
            )
            began = time.process_time()
            reply = mod(message, self.contexts[node], self.fitted)
            self.seconds += time.process_time() - began
            self.bytes += size(reply.content.config_records)
            replies.append(reply)
        self.stage += 1
        return replies


def size(records):
    """Bytes of keys, ciphertexts, vectors and shares in a client's reply."""
    found = 0
    for record in records.values():
        for value in record.values():
            for one in value if isinstance(value, list) else [value]:
                found += len(one) if isinstance(one, bytes) else 8
    return found


def whole(hospitals, cells, lost, shares, threshold):
    """The workflow's four stages over all clients."""
    grid = Grid(hospitals, cells, lost)
    flow = SecAggPlusWorkflow(shares, threshold)
    parameters = ndarrays_to_parameters(grid.numbers)
    asked = [(SimpleNamespace(node_id=node), FitIns(parameters, {})) for node in grid.contexts]
    found = {}
    strategy = SimpleNamespace(
        configure_fit=lambda *_: asked,
        aggregate_fit=lambda _, results, failures: (
            found.update(got=results[0][1].parameters) or parameters,
            {},
        ),
    )
    state = RecordDict()
    state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({"current_round": 1})
    state.array_records[MAIN_PARAMS_RECORD] = ArrayRecord(grid.numbers)
    context = SimpleNamespace(
        state=state, strategy=strategy, client_manager=SimpleNamespace(num_available=lambda: hospitals),
        history=SimpleNamespace(add_metrics_distributed_fit=lambda **_: None),
    )  # fmt: skip
    working = WorkflowState()
    began = time.process_time()
    for stage in STAGES:
        assert getattr(flow, f"{stage}_stage")(grid, context, working), stage
    total = time.process_time() - began
    (opened,) = parameters_to_ndarrays(found["got"])
    assert np.abs(opened - grid.numbers[0]).max() < 1e-3, "the average of equal vectors is the vector"
    return {
        "client_ms": round(1000 * grid.seconds / hospitals, 2),
        "server_ms": round(1000 * (total - grid.seconds), 2),
        "client_bytes": grid.bytes // hospitals,
    }


def sealed(context, dealer, holder, keys):
    """What another client would have sealed to one, with pieces of nothing in it: they are opened and kept, not used."""
    secret = bytes_to_private_key(context.state.config_records[RECORD_KEY_STATE]["sk2"])
    common = generate_shared_key(secret, bytes_to_public_key(keys[str(holder)][1]))
    return encrypt(common, share_keys_plaintext_concat(dealer, holder, bytes(52), bytes(52)))


def some(hospitals, cells, shares, threshold, clients):
    """What so many clients do up to their masked vectors, in a network of `hospitals`."""
    grid = Grid(shares, cells, 0)

    def ask(node, record):
        content = RecordDict({RECORD_KEY_CONFIGS: ConfigRecord(record)})
        return grid.send_and_receive(
            [Message(content=content, dst_node_id=node, message_type="train", group_id="1")]
        )[0]

    settings = {
        Key.STAGE: Stage.SETUP, Key.SAMPLE_NUMBER: hospitals, Key.SHARE_NUMBER: shares, Key.THRESHOLD: threshold,
        Key.CLIPPING_RANGE: 8.0, Key.TARGET_RANGE: 4194304, Key.MOD_RANGE: 4294967296, Key.MAX_WEIGHT: 1000.0,
    }  # fmt: skip
    keys = {}
    for node in grid.contexts:
        told = ask(node, settings).content.config_records[RECORD_KEY_CONFIGS]
        keys[str(node)] = [told[Key.PUBLIC_KEY_1], told[Key.PUBLIC_KEY_2]]
    setting_up = (grid.seconds / shares, grid.bytes / shares)
    grid.seconds, grid.bytes = 0.0, 0
    for node in range(1, clients + 1):
        ask(node, {**keys, Key.STAGE: Stage.SHARE_KEYS})
        near = [other for other in grid.contexts if other != node]
        ask(node, {
            Key.STAGE: Stage.COLLECT_MASKED_VECTORS, Key.SOURCE_LIST: near,
            Key.CIPHERTEXT_LIST: [sealed(grid.contexts[other], other, node, keys) for other in near],
        })  # fmt: skip
    return {
        "client_ms": round(1000 * (setting_up[0] + grid.seconds / clients), 2),
        "server_ms": None,
        "client_bytes": round(setting_up[1] + grid.bytes / clients),
    }


def main():
    hospitals, cells, lost, shares, threshold, clients = map(int, sys.argv[1:])
    logging.disable(logging.CRITICAL)
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 0
    found = (
        some(hospitals, cells, shares, threshold, clients)
        if clients
        else whole(hospitals, cells, lost, shares, threshold)
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
