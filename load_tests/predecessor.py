"""The predecessor's way, to be measured against: FastAPI, pandas dummies, scikit-learn on all processors."""

import os
from typing import Any

import joblib  # type: ignore[import-untyped]  # what it loads its forest with; it ships no types
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

from churn.contract import CATEGORICAL

app = FastAPI()
pickled = joblib.load(os.environ["RIVAL_FOREST"])
forest = pickled["forest"].set_params(n_jobs=-1)
COLUMNS = ["_".join(filter(None, (column.feature, column.category))) for column in pickled["columns"]]


class Request(BaseModel):
    """Customers as they come, unchecked."""

    customers: list[dict[str, Any]]


@app.post("/predict")
def predict(request: Request) -> dict[str, Any]:
    """Score row by row, as it was done."""
    answers = []
    for customer in request.customers:
        frame = pd.get_dummies(pd.DataFrame([customer]), columns=list(CATEGORICAL))
        row = frame.reindex(columns=COLUMNS, fill_value=0).astype("float32").fillna(-1).to_numpy()
        probability = float(forest.predict_proba(row)[0, 1])
        answers.append({"churn_probability": probability, "will_churn": probability > 0.5})
    return {"predictions": answers}
