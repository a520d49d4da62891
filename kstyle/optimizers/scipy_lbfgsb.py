"""SciPy's L-BFGS-B as a Keras optimizer: what the article's program ran.

For comparison with `LBFGS`, which has no line search and stays on the device. SciPy is
an extra (`pip install "kstyle[scipy]"`), imported when a minimisation begins.
"""

import queue
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.hardware.host import require_package
from kstyle.optimizers.lbfgs import (
    COUNTER_DTYPE,
    flatten_tensors,
    unflatten_vector,
)

# SciPy's defaults, as in the article: it stops where a step lowers the loss by less
# than this share, or where no free pixel has a larger gradient, per grey level.
RELATIVE_DECREASE = 2.2204460492503131e-09
LARGEST_GRADIENT = 1e-5
UPPER_BOUND = 255.0  # SciPy's variables are the article's: 0..255
NO_LIMIT = 10**9  # iterations or evaluations


class Stopped(Exception):
    """Ends SciPy's thread."""


class Minimization:
    """`scipy.optimize.minimize` turned inside out: the caller evaluates the function.

    SciPy runs in a separate thread, which waits while the caller evaluates a point.

    start: float64 vector in 0..255. history: number of corrections. max_iterations:
        `None`: no limit. Every iteration is one or more evaluations.
    point: what SciPy wants evaluated; its result when it is `finished`.
    accepted: the point of the last iteration, the start before the first.
    iterations, evaluations: their numbers so far. message: why SciPy has finished.
    """

    def __init__(
        self, start: np.ndarray, history: int, max_iterations: int | None
    ) -> None:
        self.history, self.max_iterations = history, max_iterations
        self.accepted, self.iterations, self.evaluations = start, 0, 0
        self.finished, self.message = False, ""
        self._points: queue.SimpleQueue = queue.SimpleQueue()
        self._values: queue.SimpleQueue = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(start,), daemon=True)
        self._thread.start()
        self.point = self._next_point()

    def advance(self, loss: float, gradient: np.ndarray) -> np.ndarray:
        """Give SciPy the loss and gradient at `point`. Returns: the next `point`."""
        if not self.finished:
            self.evaluations += 1
            self._values.put((loss, gradient))
            self.point = self._next_point()
        return self.point

    def close(self) -> None:
        """End the thread, and with it SciPy's arrays."""
        self._values.put(None)
        self._thread.join()

    def _next_point(self) -> np.ndarray:
        point = self._points.get()
        if point is None:
            self.finished = True
            if self._error is not None:
                raise self._error
            return self.accepted
        return point

    def _run(self, start: np.ndarray) -> None:
        """Minimise, in the thread."""
        try:
            self._minimize(start)
        except Stopped:
            pass
        except BaseException as error:
            self._error = error
        self._points.put(None)

    def _minimize(self, start: np.ndarray) -> None:
        from scipy.optimize import Bounds, minimize

        result = minimize(
            self._evaluate,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(np.zeros_like(start), np.full_like(start, UPPER_BOUND)),
            callback=self._accept,
            options={
                "maxcor": self.history,
                "ftol": RELATIVE_DECREASE,
                "gtol": LARGEST_GRADIENT,
                "maxiter": self.max_iterations or NO_LIMIT,
                "maxfun": NO_LIMIT,
            },
        )
        self.accepted, self.message = result.x, str(result.message)

    def _evaluate(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        self._points.put(point.copy())
        values = self._values.get()
        if values is None:
            raise Stopped
        return values

    def _accept(self, point: np.ndarray) -> None:
        self.accepted = point.copy()
        self.iterations += 1


def weak_call(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls a method and does not keep its object alive."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> Any:
        found = reference()
        if found is None:
            raise RuntimeError("The object of this method is gone.")
        return found(*arguments)

    return call


@keras.saving.register_keras_serializable("kstyle")
class SciPyLBFGSB(keras.optimizers.Optimizer):
    """L-BFGS-B (Byrd, Lu, Nocedal and Zhu 1995) with SciPy's line search and stops.

    Each `apply` costs one evaluation of the loss, as with `LBFGS`, and moves to the
    next point that SciPy wants evaluated. So the loss rises where a line search tries
    too long a step. At the end of a `fit` the variables are those of the last
    iteration. A new `fit`, or variables that something else has changed, begin a new
    minimisation without corrections: those of SciPy cannot be stored.

    The variables are pixels in [0, 1]. SciPy has them in 0..255, between these bounds,
    on which the length of its first step and `LARGEST_GRADIENT` depend. There is no
    learning rate: `learning_rate` is 1 and has no effect.

    history: number of corrections. max_iterations: of SciPy in each `fit`; `None`: no
        limit.
    minimization: the present one; `None` outside of `fit`.
    Raises: ConfigError: SciPy is not installed.
    """

    def __init__(
        self,
        history: int = 10,
        max_iterations: int | None = None,
        name: str = "scipy_lbfgsb",
        **kwargs: Any,
    ) -> None:
        require_package("scipy", "scipy", "optimizer scipy")
        super().__init__(**{"learning_rate": 1.0, **kwargs}, name=name)
        self.history, self.max_iterations = history, max_iterations
        self.minimization: Minimization | None = None
        self._done_before = 0  # iterations before the present minimisation
        self._proposed: np.ndarray | None = None  # where SciPy wants the variables

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make variables of the loss and of the number of iterations.

        The rest of the state is SciPy's.
        """
        if self.built:
            return
        super().build(variables)
        self.loss = self.add_variable((), dtype="float32", name="loss")
        self.done = self.add_variable((), dtype=COUNTER_DTYPE, name="done")

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """Record the loss at the current point; Keras calls this before `apply`."""
        if self.built:
            self.loss.assign(ops.cast(loss, "float32"))
        return super().scale_loss(loss)

    def apply(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Move to the next point, given the gradients at the current one."""
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        if not self.built:
            with tf.init_scope():
                self.build(trainable_variables)
        point = flatten_tensors(trainable_variables)
        values = [self.loss.value, flatten_tensors(grads), point, self.done.value]
        types = [tf.float32, tf.as_dtype(COUNTER_DTYPE)]
        # TensorFlow keeps the function for the life of the process: not the optimizer.
        following, done = tf.numpy_function(weak_call(self._advance), values, types)
        following.set_shape(point.shape)
        done.set_shape(())
        self.done.assign(done)
        self.iterations.assign_add(1)
        for variable, value in unflatten_vector(following, trainable_variables):
            variable.assign(value)

    def _advance(
        self,
        loss: np.ndarray,
        gradient: np.ndarray,
        point: np.ndarray,
        done: np.ndarray,
    ) -> tuple[np.ndarray, np.int64]:
        """Return the next point, float32 like `point`, and the iterations so far."""
        found, proposed = self.minimization, self._proposed
        if found is None or proposed is None or not np.array_equal(point, proposed):
            found = self._begin(UPPER_BOUND * point.astype("float64"), int(done))
        scaled = gradient.astype("float64") / UPPER_BOUND
        following = found.advance(float(loss), scaled)
        self._proposed = (following / UPPER_BOUND).astype("float32")
        return self._proposed, np.int64(self._done_before + found.iterations)

    def _begin(self, start: np.ndarray, done: int) -> Minimization:
        """Begin a minimisation; done: number of iterations before it."""
        self._end()
        limit = self.max_iterations
        limit = None if limit is None else max(1, limit - done)
        self._done_before = done
        self.minimization = Minimization(start, self.history, limit)
        # The thread keeps the minimisation alive, which would wait for ever.
        self._closer = weakref.finalize(self, self.minimization.close)
        return self.minimization

    def _end(self) -> None:
        if self.minimization is not None:
            self._closer()
        self.minimization = self._proposed = None

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Assign the point of the last iteration; Keras calls this after `fit`."""
        if self.minimization is None:
            return
        accepted = (self.minimization.accepted / UPPER_BOUND).astype("float32")
        point = ops.convert_to_tensor(accepted)
        for variable, value in unflatten_vector(point, var_list):
            variable.assign(value)
        self.done.assign(0)
        self._end()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "history": self.history,
            "max_iterations": self.max_iterations,
        }
