//! The smallest value of a smooth function of four variables.
//!
//! BFGS: walk downhill, and learn the curvature from how the slope changes on the way. The one well-kept crate for it,
//! `argmin`, brings 20 others, among them a clock and random numbers, for what fits on this page.

/// A point, or a direction.
pub(super) type Vector = [f64; 4];
type Matrix = [Vector; 4];

/// The slope at which we are there. The function is of the order of one and so are its variables, so what is left to
/// gain is far below anything that is ever shown.
const FLAT: f64 = 1e-9;
/// The furthest that one step may go: the variables are logarithms, so this is a factor of seven.
const LONGEST_STEP: f64 = 2.0;
/// How much of the gain that the slope promises a step must bring.
const HONEST: f64 = 1e-4;
/// By what part of itself the function's value may be wrong, from rounding.
const ROUNDING: f64 = 1e-13;
const MAX_STEPS: u32 = 300;
const MAX_HALVINGS: u32 = 60;

const IDENTITY: Matrix =
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

/// The point where `function` (its value and its slope) is smallest, searched from `start`. `None` when it is not found:
/// the function goes down for ever, or is no number anywhere near.
pub(super) fn minimise(start: Vector, function: impl Fn(&Vector) -> (f64, Vector)) -> Option<Vector> {
    let mut point = start;
    let (mut value, mut slope) = function(&point);
    let mut inverse_curvature = IDENTITY;
    for _ in 0..MAX_STEPS {
        if slope.iter().all(|s| s.abs() <= FLAT) {
            return Some(point);
        }
        let mut step = times(&inverse_curvature, &scaled(&slope, -1.0));
        if dot(&step, &slope) >= 0.0 {
            inverse_curvature = IDENTITY; // not downhill: what was learned no longer holds
            step = scaled(&slope, -1.0);
        }
        let longest = step.iter().fold(0.0_f64, |longest, s| longest.max(s.abs()));
        let step = scaled(&step, (LONGEST_STEP / longest).min(1.0));

        let promised = dot(&step, &slope);
        let shorter = (0..MAX_HALVINGS).scan(1.0, |part, _| Some(std::mem::replace(part, *part / 2.0)));
        let (step, next, next_value, next_slope) = shorter
            .map(|part| {
                let step = scaled(&step, part);
                let next = plus(&point, &step);
                let (next_value, next_slope) = function(&next);
                (part, step, next, next_value, next_slope)
            })
            .find(|(part, .., next_value, _)| {
                *next_value <= value + HONEST * part * promised + ROUNDING * value.abs()
            })
            .map(|(_, step, next, value, slope)| (step, next, value, slope))?;

        let change = plus(&next_slope, &scaled(&slope, -1.0));
        learn(&mut inverse_curvature, &step, &change);
        (point, value, slope) = (next, next_value, next_slope);
    }
    None
}

/// Makes the inverse curvature agree with a step and the change of slope that came of it (the BFGS formula).
fn learn(inverse: &mut Matrix, step: &Vector, change: &Vector) {
    let bend = dot(step, change);
    if bend <= 0.0 {
        return; // curved the wrong way here: no minimum can be learned from it
    }
    let moved = times(inverse, change);
    let weight = (1.0 + dot(change, &moved) / bend) / bend;
    for (row, line) in inverse.iter_mut().enumerate() {
        for (column, cell) in line.iter_mut().enumerate() {
            *cell += weight * step[row] * step[column]
                - (step[row] * moved[column] + moved[row] * step[column]) / bend;
        }
    }
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn plus(a: &Vector, b: &Vector) -> Vector {
    std::array::from_fn(|i| a[i] + b[i])
}

fn scaled(a: &Vector, by: f64) -> Vector {
    a.map(|a| a * by)
}

fn times(matrix: &Matrix, a: &Vector) -> Vector {
    std::array::from_fn(|row| dot(&matrix[row], a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottom_of_a_crooked_valley_is_found() {
        // Rosenbrock's valley twice, whose bottom lies at 1 in each variable.
        let valley = |[x, y, u, v]: &Vector| {
            let half = |x: f64, y: f64| {
                let (miss, bend) = (1.0 - x, y - x * x);
                (miss * miss + 100.0 * bend * bend, -2.0 * miss - 400.0 * x * bend, 200.0 * bend)
            };
            let ((f, fx, fy), (g, gu, gv)) = (half(*x, *y), half(*u, *v));
            (f + g, [fx, fy, gu, gv])
        };
        let bottom = minimise([-1.2, 1.0, 3.0, -2.0], valley).unwrap();
        assert!(bottom.iter().all(|x| (x - 1.0).abs() < 1e-8), "{bottom:?}");
    }

    #[test]
    fn a_slope_without_a_bottom_and_a_function_without_numbers_are_refused() {
        assert_eq!(minimise([0.0; 4], |p| (p[0], [1.0, 0.0, 0.0, 0.0])), None);
        assert_eq!(minimise([0.0; 4], |_| (f64::NAN, [f64::NAN; 4])), None);
    }
}
