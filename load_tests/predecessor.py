"""The predecessor's way, to be measured against: FastAPI, pandas dummies, scikit-learn on all processors."""

import os
from typing import Any

import joblib  # type: ignore[import-untyped]  # what the rivals use; it ships no types
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

from churn.contract import CATEGORICAL, NUMERIC

app = FastAPI()
forest = joblib.load(os.environ["RIVAL_FOREST"])
forest.set_params(n_jobs=-1)


class Request(BaseModel):
    """Customers as they come, unchecked."""

    customers: list[dict[str, Any]]


@app.post("/predict")
def predict(request: Request) -> dict[str, Any]:
    """Score row by row, as it was done."""
    frame = pd.DataFrame(request.customers)
    dummies = pd.get_dummies(frame, columns=list(CATEGORICAL)).reindex(columns=list(NUMERIC), fill_value=0)
    matrix = dummies.astype("float32").fillna(-1).to_numpy()
    probabilities = [float(forest.predict_proba(matrix[row : row + 1])[0, 1]) for row in range(len(matrix))]
    return {"predictions": [{"churn_probability": p, "will_churn": p > 0.5} for p in probabilities]}
