//! What a chart shows: its kind, where its figures are, its titles, and how its axes are cut.

use super::{formula, node::Node};

/// In a sentence.
pub(super) fn said(root: &Node) -> String {
    let (mut said, mut figures) = (Vec::new(), Vec::new());
    root.walk(&mut |node| match node.name.as_str() {
        // Kinds of charts, and what is drawn besides the figures.
        "barChart" | "lineChart" | "pieChart" | "areaChart" | "scatterChart" | "doughnutChart" | "radarChart"
        | "bar3DChart" | "pie3DChart" | "bubbleChart" | "trendline" | "errBars" | "userShapes" | "upDownBars" => {
            said.push(node.name.clone());
        }
        "f" => figures.push(formula::normalised(&node.text)),
        "t" if !node.text.trim().is_empty() => said.push(node.text.trim().to_owned()),
        "barDir" | "min" | "max" | "logBase" => said.push(format!("{}={}", node.name, node.text_of("val"))),
        "orientation" if node.text_of("val") != "minMax" => said.push("backwards".to_owned()),
        _ => {}
    });
    figures.sort();
    figures.dedup();
    said.extend(figures);
    said.join(" ")
}
