//! The smallest value of a smooth function of four variables.
//!
//! BFGS: walk downhill, and learn the curvature from how the slope changes on the way. The one well-kept crate for it,
//! `argmin`, brings random numbers, a clock and a tree of other crates for what fits on this page.

/// A point, or a direction.
pub(super) type Vector = [f64; 4];
type Matrix = [Vector; 4];

/// The slope at which we are there. The function is of the order of one and so are its variables, so what is left to
/// gain is far below anything that is ever shown.
const FLAT: f64 = 1e-9;
/// How far a step goes at first: the variables are logarithms, so this is a factor of seven.
const LONGEST_STEP: f64 = 2.0;
/// The part of the gain that the slope promises which a step must bring at least.
const HONEST: f64 = 1e-4;
/// The part of the slope that may be left after a step at most: who stops earlier learns nothing of the curvature.
const STILL_STEEP: f64 = 0.9;
/// By what part of itself the function's value may be wrong, from rounding.
const ROUNDING: f64 = 1e-13;
const MAX_STEPS: u32 = 500;
const MAX_LENGTHS: u32 = 60;

const IDENTITY: Matrix =
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

/// What the function is like at a point.
struct Place {
    point: Vector,
    value: f64,
    slope: Vector,
}

/// The point where `function` (its value and its slope) is smallest, searched from `start`. `None` when it is not found:
/// the function goes down for ever, or is no number anywhere near.
pub(super) fn minimise(start: Vector, function: impl Fn(&Vector) -> (f64, Vector)) -> Option<Vector> {
    let look = |point: Vector| {
        let (value, slope) = function(&point);
        Place { point, value, slope }
    };
    let mut here = look(start);
    let mut inverse_curvature = IDENTITY;
    for _ in 0..MAX_STEPS {
        if here.slope.iter().all(|s| s.abs() <= FLAT) {
            return Some(here.point);
        }
        let downhill = scaled(&here.slope, -1.0);
        let mut direction = times(&inverse_curvature, &downhill);
        if dot(&direction, &downhill) <= 0.0 {
            // What was learned elsewhere no longer holds.
            (inverse_curvature, direction) = (IDENTITY, downhill);
        }
        let next = walk(&here, &direction, look)?;
        let change = plus(&next.slope, &downhill);
        learn(&mut inverse_curvature, &plus(&next.point, &scaled(&here.point, -1.0)), &change);
        here = next;
    }
    None
}

/// A place in a direction that is lower by enough and far enough, found by doubling and halving (Lewis and Overton).
fn walk(from: &Place, direction: &Vector, look: impl Fn(Vector) -> Place) -> Option<Place> {
    let promised = dot(direction, &from.slope);
    let longest = direction.iter().fold(0.0_f64, |longest, d| longest.max(d.abs()));
    let (mut too_short, mut too_long) = (0.0, f64::INFINITY);
    let mut length = (LONGEST_STEP / longest).min(1.0);
    for _ in 0..MAX_LENGTHS {
        let there = look(plus(&from.point, &scaled(direction, length)));
        let lower = there.value <= from.value + HONEST * length * promised + ROUNDING * from.value.abs();
        if !lower {
            too_long = length;
        } else if dot(&there.slope, direction) < STILL_STEEP * promised {
            too_short = length;
        } else {
            return Some(there);
        }
        length = if too_long.is_finite() { (too_short + too_long) / 2.0 } else { 2.0 * too_short };
    }
    None
}

/// Makes the inverse curvature agree with a step and the change of slope that came of it (the BFGS formula).
fn learn(inverse: &mut Matrix, step: &Vector, change: &Vector) {
    let bend = dot(step, change);
    if bend <= 0.0 {
        return; // only rounding is left of it
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
