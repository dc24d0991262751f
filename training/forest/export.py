"""A fitted scikit-learn forest to the arrays and the ONNX graph that are stored."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier

from churn.model.artifact import Forest

IR_VERSION = 10
OPSET, ML_OPSET = 21, 3


def forest_arrays(forest: RandomForestClassifier) -> Forest:
    """The nodes of all trees, one after the other; class 1 is churn.

    Thresholds are rounded down to float32. For a float32 `x`, `x <= threshold` and
    `x <= floor(threshold)` are the same question, so no decision changes.
    """
    trees = [estimator.tree_ for estimator in forest.estimators_]
    starts = np.cumsum([0] + [tree.node_count for tree in trees])[:-1]
    leaf = np.concatenate([tree.children_left < 0 for tree in trees])
    shift = np.repeat(starts, [tree.node_count for tree in trees])

    def children(name: str) -> NDArray[np.int32]:
        return np.where(leaf, -1, np.concatenate([getattr(tree, name) for tree in trees]) + shift).astype(np.int32)

    counts = np.concatenate([tree.value[:, 0, :] for tree in trees])
    return Forest(
        roots=starts.astype(np.int32),
        left=children("children_left"),
        right=children("children_right"),
        column=np.where(leaf, -1, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
        threshold=np.where(leaf, 0, floor32(np.concatenate([tree.threshold for tree in trees]))).astype(np.float32),
        value=counts[:, 1] / counts.sum(axis=1),
        cover=np.concatenate([tree.weighted_n_node_samples for tree in trees]),
    )


def floor32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 at or below each value."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def onnx_graph(forest: Forest, columns: int) -> bytes:
    """The forest as one TreeEnsembleRegressor: float64 `x` [n, columns] -> float32 `score` [n, 1].

    With float64 thresholds and weights the trees are added up in float64, and only the
    answer is rounded: it is within 6e-8 of scikit-learn and of the explainer.
    """
    sizes = np.diff(np.append(forest.roots, len(forest.left)))
    tree = np.repeat(np.arange(len(sizes)), sizes)
    first = np.repeat(forest.roots, sizes)
    node = np.arange(len(first)) - first
    leaf = forest.left < 0
    weights = forest.value[leaf] / len(sizes)
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["score"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        nodes_treeids=tree.tolist(),
        nodes_nodeids=node.tolist(),
        nodes_featureids=np.where(leaf, 0, forest.column).tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_values_as_tensor=numpy_helper.from_array(forest.threshold.astype(np.float64), "thresholds"),
        nodes_truenodeids=np.where(leaf, 0, forest.left - first).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, forest.right - first).tolist(),
        target_treeids=tree[leaf].tolist(),
        target_nodeids=node[leaf].tolist(),
        target_ids=np.zeros(int(leaf.sum()), dtype=int).tolist(),
        target_weights_as_tensor=numpy_helper.from_array(weights, "weights"),
    )
    graph = helper.make_graph(
        [ensemble],
        "forest",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, columns])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="churn")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
