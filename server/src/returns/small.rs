//! Small cells: where a figure is about one or two people, a copy that leaves the office prints `*`, and one cell more in the
//! row and in the column, so that nobody subtracts.

use std::collections::BTreeSet;

/// What is printed instead.
pub(super) const STAR: &str = "*";

/// Lines and columns, by their places, that are not printed. `figures` are those of the columns concerned; below `least`
/// they are small.
pub(super) fn suppressed(figures: &[Vec<i64>], least: i64) -> BTreeSet<(usize, usize)> {
    let is_small = |value: i64| value > 0 && value < least;
    let width = figures.first().map_or(0, Vec::len);
    let mut hidden: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (line, values) in figures.iter().enumerate() {
        hidden
            .extend(values.iter().enumerate().filter(|(_, value)| is_small(**value)).map(|(column, _)| (line, column)));
    }
    loop {
        let rows = (0..figures.len()).map(|line| (0..width).map(|column| (line, column)).collect::<Vec<_>>());
        let columns = (0..width).map(|column| (0..figures.len()).map(|line| (line, column)).collect::<Vec<_>>());
        let alone = rows.chain(columns).find_map(|places| {
            let count = places.iter().filter(|place| hidden.contains(place)).count();
            let open = places.into_iter().filter(|place| !hidden.contains(place));
            // One that crosses another star goes first, which helps both; then the smallest figure.
            let next = open.min_by_key(|(line, column)| {
                let crosses = hidden.iter().filter(|(l, c)| l == line || c == column).count();
                (crosses <= count, figures[*line][*column] == 0, figures[*line][*column])
            });
            next.filter(|_| count == 1)
        });
        match alone {
            Some(place) => hidden.insert(place),
            None => return hidden,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_star_stands_alone_in_its_row_or_column() {
        assert!(suppressed(&[vec![5, 0, 12], vec![3, 4, 0]], 3).is_empty());
        let figures = [vec![1, 8, 0, 5], vec![6, 9, 4, 7], vec![5, 5, 3, 0]];
        let hidden = suppressed(&figures, 3);
        assert!(hidden.contains(&(0, 0)));
        for line in 0..3 {
            assert_ne!((0..4).filter(|column| hidden.contains(&(line, *column))).count(), 1, "row {line}: {hidden:?}");
        }
        for column in 0..4 {
            assert_ne!(
                (0..3).filter(|line| hidden.contains(&(*line, column))).count(),
                1,
                "column {column}: {hidden:?}"
            );
        }
        assert_eq!(suppressed(&[vec![2]], 3), [(0, 0)].into(), "there is no other");
    }
}
