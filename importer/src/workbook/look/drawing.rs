//! What lies over the cells of a sheet of an .xlsx: pictures, charts, and whatever else somebody has put there.

use std::collections::BTreeSet;

use super::{
    chart,
    node::Node,
    parts::{Parts, Relation},
};
use crate::workbook::{
    grid::address,
    read::{ReadError, damaged},
};

/// What stands in a picture that is nothing but itself.
const PLAIN: [&str; 31] = [
    "pic",
    "nvPicPr",
    "cNvPr",
    "cNvPicPr",
    "picLocks",
    "blipFill",
    "blip",
    "stretch",
    "fillRect",
    "spPr",
    "xfrm",
    "off",
    "ext",
    "prstGeom",
    "avLst",
    "ln",
    "noFill",
    "extLst",
    "useLocalDpi",
    "compatExt",
    "creationId",
    "srcRect",
    "solidFill",
    "prstDash",
    "round",
    "miter",
    "headEnd",
    "tailEnd",
    "srgbClr",
    "decorative",
    "bevel",
];

/// What a drawing shows. Returns it whole.
pub(super) fn facts(parts: &mut Parts<'_>, name: &str, into: &mut BTreeSet<String>) -> Result<Node, ReadError> {
    let root = parts.root(name)?.ok_or_else(|| damaged("a drawing that is not there"))?;
    let relations = parts.relations(name)?;
    for (number, anchor) in root.children.iter().enumerate() {
        let place = anchor.child("from").map_or_else(|| "?".to_owned(), place);
        if !matches!(anchor.name.as_str(), "oneCellAnchor" | "twoCellAnchor") {
            into.insert(format!("图形 drawing {number}: {}", anchor.name));
            continue;
        }
        for shown in &anchor.children {
            match shown.name.as_str() {
                "from" | "to" | "ext" | "clientData" => {}
                "pic" => drop(into.insert(format!("图片 picture {place} {}", picture(parts, shown, &relations)?))),
                "graphicFrame" => {
                    into.insert(format!("图表 chart {place} {}", frame(parts, shown, &relations)?));
                }
                other => drop(into.insert(format!("图形 shape {place} {other} {}", shown.words().trim()))),
            }
        }
    }
    Ok(root)
}

/// The cell that something begins in; a corner far from it is told.
fn place(from: &Node) -> String {
    let number = |name: &str| from.child(name).and_then(|child| child.text.trim().parse::<i64>().ok());
    let (Some(row), Some(column)) = (number("row"), number("col")) else { return "?".to_owned() };
    let is_moved = ["rowOff", "colOff"].into_iter().any(|name| number(name).is_some_and(|offset| offset < 0));
    match (u32::try_from(row), u16::try_from(column)) {
        (Ok(row), Ok(column)) if !is_moved => address(row, column),
        _ => format!("{row},{column}?"),
    }
}

fn picture(parts: &mut Parts<'_>, picture: &Node, relations: &[Relation]) -> Result<String, ReadError> {
    let (mut said, mut embedded) = (String::new(), None);
    picture.walk(&mut |node| {
        if !PLAIN.contains(&node.name.as_str()) {
            said.push(' ');
            said.push_str(&node.name);
        }
        match node.name.as_str() {
            "blip" => embedded = node.attribute(":embed").map(str::to_owned),
            "xfrm" => {
                let is_turned = node.number_of::<i64>("rot").unwrap_or(0) != 0;
                if is_turned || node.is("flipH") || node.is("flipV") {
                    said.push_str(" turned");
                }
            }
            "srcRect" if ["l", "t", "r", "b"].iter().any(|side| node.number_of::<i64>(side).unwrap_or(0) != 0) => {
                said.push_str(" cut");
            }
            "cNvPr" if node.is("hidden") => said.push_str(" hidden"),
            _ => {}
        }
    });
    let target = embedded.and_then(|id| relations.iter().find(|r| r.id == id && r.kind == "image" && !r.is_external));
    let target = target.map(|relation| relation.target.clone());
    Ok(match target {
        Some(target) => parts.digest(&target)? + &said,
        None => format!("?{said}"),
    })
}

fn frame(parts: &mut Parts<'_>, frame: &Node, relations: &[Relation]) -> Result<String, ReadError> {
    let mut id = None;
    frame.walk(&mut |node| {
        if node.name == "chart" {
            id = node.attribute(":id").map(str::to_owned);
        }
    });
    let target = id.and_then(|id| relations.iter().find(|relation| relation.id == id && relation.kind == "chart"));
    match target.map(|relation| relation.target.clone()) {
        Some(target) => Ok(parts.root(&target)?.map_or_else(|| "?".to_owned(), |root| chart::said(&root))),
        None => Ok("?".to_owned()),
    }
}
