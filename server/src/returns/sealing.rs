//! Sealing a workbook of returns: a hidden sheet, and below each table the code that stands for it, to be read and to be
//! scanned.

use std::path::Path;

use importer::{
    seal::{self, Drawn},
    workbook::write::{Book, Style},
};

use super::{AsOf, ReturnError, ReturnRequest, Sealed};
use crate::{Server, whole};

/// Pixels of a QR code on the sheet, and of each of its modules in the picture.
const QR_PIXELS: u32 = 90;
const QR_SCALE: usize = 3;
/// Modules around a QR code that stay light.
const QUIET: usize = 4;

/// Of what a workbook is drawn. Asked before anything is read: what comes in meanwhile makes it stale.
pub(super) async fn drawn(
    server: &Server,
    (number, title): (&str, &str),
    request: &ReturnRequest,
) -> Result<Drawn, ReturnError> {
    let seq = match request.as_of {
        Some(AsOf::Seq(seq)) => seq,
        _ => server.store.newest_below(request.top.id).await?,
    };
    Ok(Drawn {
        number: number.to_owned(),
        title: title.to_owned(),
        unit: request.top.id.to_string(),
        unit_name: request.top.name.clone(),
        date: request.date.to_string(),
        choices: request.variables.clone(),
        class: format!("{:?}", request.clearance),
        seq,
        reader: request.reader.clone(),
        copies: request.copies.clone(),
        period: Some(server.period()),
    })
}

/// Seals a book that has recorded what was written, and writes the file: whole, or not at all.
pub(super) async fn save(
    server: &Server,
    mut book: Book,
    (drawn, request): (Drawn, &ReturnRequest),
    path: &Path,
) -> Result<Sealed, ReturnError> {
    // Of a year that is sealed nothing is said that was not known then.
    let checkpoint = match &request.of_sealed {
        Some(seal) => seal.checkpoint.clone(),
        None => server.checkpoints.latest().await,
    };
    let cells = book.recorded();
    let code = seal::code(&drawn, &cells);
    let text = seal::code_line(&code, drawn.seq);
    let picture = qr(&text)?;
    for (sheet, cells) in &cells {
        let row = cells.keys().map(|(row, _)| row + 1).max().unwrap_or_default();
        let last = cells.keys().map(|(_, column)| *column).max().unwrap_or_default();
        let mut page = book.reopened(sheet)?;
        page.merge((row, 0), (row, last), &text, Style::Note)?;
        book.picture(sheet, (row + 1, 0), &picture, QR_PIXELS)?;
    }
    let sign = |statement: &[u8]| server.keys.sign(statement);
    let seal_key = &server.keyring.current().seal_key;
    let bytes = seal::finish(book, (&drawn, &code), checkpoint, seal_key, sign)?;
    whole::write(path, &bytes, false)?;
    Ok(Sealed { code, seq: drawn.seq, of: drawn })
}

/// A QR code as a picture.
fn qr(text: &str) -> Result<Vec<u8>, ReturnError> {
    let code = qrcode::QrCode::new(text).map_err(|e| std::io::Error::other(e.to_string()))?;
    let width = code.width();
    let colors = code.to_colors();
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < width);
        inside(x).zip(inside(y)).is_some_and(|(x, y)| colors[y * width + x] == qrcode::Color::Dark)
    };
    let scaled = (width + 2 * QUIET) * QR_SCALE;
    let mut pixels = Vec::with_capacity(scaled * scaled);
    for y in 0..scaled {
        pixels.extend((0..scaled).map(|x| if is_dark(x / QR_SCALE, y / QR_SCALE) { 0 } else { 255 }));
    }
    let mut png = Vec::new();
    let side = u32::try_from(scaled).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut png, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(png)
}
