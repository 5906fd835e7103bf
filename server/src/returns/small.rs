//! Small cells: where a figure is about one or two people, a copy that leaves the office prints `*`, and some cells more, so
//! that nobody computes it from what is printed: totals of columns, and rows that are summed up in another column.

use std::collections::{BTreeMap, BTreeSet};

/// What is printed instead.
pub(super) const STAR: &str = "*";

/// A line and a column, by their places; behind the last line stands the total.
type Place = (usize, usize);

/// The figures of a table that can be small, with their total.
struct Table<'f> {
    figures: &'f [Vec<i64>],
    totals: Vec<i64>,
}

/// What is not printed as a flow: each figure flows from its line to its column, and on to the total. All that is printed says
/// how much flows in and out of each. A figure can be told if it cannot flow otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Line(usize),
    Column(usize),
    Total,
}

impl Table<'_> {
    fn height(&self) -> usize {
        self.figures.len()
    }

    fn width(&self) -> usize {
        self.totals.len()
    }

    fn value(&self, (line, column): Place) -> i64 {
        let values = self.figures.get(line).unwrap_or(&self.totals);
        values.get(column).copied().unwrap_or_default()
    }

    fn ends(&self, (line, column): Place) -> (Node, Node) {
        if line == self.height() {
            (Node::Column(column), Node::Total)
        } else {
            (Node::Line(line), Node::Column(column))
        }
    }

    /// Whether there is only one figure that this can be, with so much hidden.
    fn is_told(&self, place: Place, hidden: &BTreeSet<Place>) -> bool {
        let (from, to) = self.ends(place);
        let may_grow = self.leads(to, from, place, hidden);
        let may_shrink = self.value(place) > 0 && self.leads(from, to, place, hidden);
        !may_grow && !may_shrink
    }

    /// Whether something can be moved from one node to the other: any hidden figure can be larger, and smaller unless it is 0.
    fn leads(&self, from: Node, to: Node, without: Place, hidden: &BTreeSet<Place>) -> bool {
        let mut steps: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
        for place in hidden.iter().filter(|place| **place != without) {
            let (start, end) = self.ends(*place);
            steps.entry(start).or_default().push(end);
            if self.value(*place) > 0 {
                steps.entry(end).or_default().push(start);
            }
        }
        let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
        while let Some(node) = next.pop() {
            for step in steps.get(&node).into_iter().flatten() {
                if seen.insert(*step) {
                    next.push(*step);
                }
            }
        }
        seen.contains(&to)
    }

    /// What has to be hidden besides so that this cannot be told: the other corners of a rectangle. As few as possible, no
    /// totals if possible, no zeros, and small ones rather than large ones.
    fn cover(&self, (line, column): Place, hidden: &BTreeSet<Place>) -> Option<Vec<Place>> {
        let mut best: Option<(_, Vec<Place>)> = None;
        for other_line in (0..=self.height()).filter(|other| *other != line) {
            for other_column in (0..self.width()).filter(|other| *other != column) {
                let corners = [(line, other_column), (other_line, column), (other_line, other_column)];
                let more: Vec<Place> = corners.into_iter().filter(|corner| !hidden.contains(corner)).collect();
                let with: BTreeSet<Place> = hidden.iter().chain(&more).copied().collect();
                if self.is_told((line, column), &with) {
                    continue;
                }
                let totals = more.iter().filter(|(line, _)| *line == self.height()).count();
                let zeros = more.iter().filter(|place| self.value(**place) == 0).count();
                let cost = (totals, more.len(), zeros, more.iter().map(|place| self.value(*place)).sum::<i64>());
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, more));
                }
            }
        }
        best.map(|(_, more)| more)
    }
}

/// What is not printed, by line and column; the total stands behind the last line. `figures` are those of the columns
/// concerned; below `least` they are small.
pub(super) fn suppressed(figures: &[Vec<i64>], least: i64) -> BTreeSet<Place> {
    let width = figures.first().map_or(0, Vec::len);
    let totals = (0..width).map(|column| figures.iter().filter_map(|line| line.get(column)).sum()).collect();
    let table = Table { figures, totals };
    let places = (0..table.height()).flat_map(|line| (0..width).map(move |column| (line, column)));
    let mut hidden: BTreeSet<Place> = places.filter(|place| (1..least).contains(&table.value(*place))).collect();
    let mut hopeless = BTreeSet::new();
    loop {
        let told = hidden.iter().find(|place| !hopeless.contains(*place) && table.is_told(**place, &hidden));
        let Some(told) = told.copied() else { return hidden };
        if let Some(more) = table.cover(told, &hidden) {
            hidden.extend(more);
        } else {
            // In a table of one column nothing else is summed up with it.
            hidden.insert((table.height(), told.1));
            hopeless.insert(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All tables that look the same as this one: each hidden figure up to this much.
    fn possible(figures: &[Vec<i64>], hidden: &BTreeSet<Place>, most: i64) -> BTreeMap<Place, BTreeSet<i64>> {
        let (height, width) = (figures.len(), figures[0].len());
        let cells: Vec<Place> = hidden.iter().copied().filter(|(line, _)| *line < height).collect();
        let sums = |figures: &[Vec<i64>]| -> (Vec<i64>, Vec<i64>, i64) {
            let rows: Vec<i64> = figures.iter().map(|line| line.iter().sum()).collect();
            let columns = (0..width).filter(|column| !hidden.contains(&(height, *column)));
            let columns = columns.map(|column| figures.iter().map(|line| line[column]).sum()).collect();
            let all = rows.iter().sum();
            (rows, columns, all)
        };
        let (mut found, mut guess, printed) =
            (BTreeMap::<Place, BTreeSet<i64>>::new(), figures.to_vec(), sums(figures));
        let mut digits = vec![0; cells.len()];
        'all: loop {
            for ((line, column), digit) in cells.iter().zip(&digits) {
                guess[*line][*column] = *digit;
            }
            if sums(&guess) == printed {
                for ((line, column), digit) in cells.iter().zip(&digits) {
                    found.entry((*line, *column)).or_default().insert(*digit);
                }
            }
            for digit in &mut digits {
                *digit += 1;
                if *digit <= most {
                    continue 'all;
                }
                *digit = 0;
            }
            return found;
        }
    }

    #[test]
    fn no_small_figure_can_be_computed() {
        assert!(suppressed(&[vec![5, 0, 12], vec![3, 4, 0]], 3).is_empty());
        for figures in [
            vec![vec![1, 8, 0, 5], vec![6, 9, 4, 7], vec![5, 5, 3, 0]],
            // Nobody else: the totals would tell it.
            vec![vec![1, 0, 0], vec![0, 0, 0]],
            vec![vec![1, 0], vec![0, 0], vec![0, 0]],
            vec![vec![2, 0, 4]],
            vec![vec![1, 1], vec![0, 7]],
            vec![vec![1, 3, 3], vec![3, 1, 3], vec![3, 3, 1]],
            // Two stars in each row and column, and one of them still stands alone.
            vec![vec![1, 1, 4, 4], vec![1, 1, 4, 4], vec![4, 4, 1, 0], vec![4, 0, 0, 4]],
        ] {
            let hidden = suppressed(&figures, 3);
            let most = hidden.iter().filter_map(|(line, column)| Some(*figures.get(*line)?.get(*column)?)).max();
            let possible = possible(&figures, &hidden, most.unwrap_or_default().max(1) + 1);
            assert!(!possible.is_empty(), "the table itself");
            for (line, values) in figures.iter().enumerate() {
                for (column, value) in values.iter().enumerate() {
                    if (1..3).contains(value) {
                        assert!(hidden.contains(&(line, column)), "{figures:?}: {hidden:?}");
                    }
                }
            }
            for (place, values) in possible {
                assert!(values.len() > 1, "{figures:?}: {place:?} can only be {values:?} with {hidden:?}");
            }
        }
        // There is nothing else that it could be hidden among; its total goes with it.
        assert_eq!(suppressed(&[vec![2]], 3), [(0, 0), (1, 0)].into());
    }
}
