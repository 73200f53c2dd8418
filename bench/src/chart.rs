//! A scenario as a picture: a bar for each server.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::{Row, cost, words_for_cost};
use crate::servers::{Kind, Server};

const WIDTH: u32 = 900;
const BAR: i32 = 22;
const HEAD: i32 = 44;
/// Where bars begin, and how long the longest is.
const LEFT: i32 = 220;
const LONGEST: i32 = 520;

const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xeb);
const OTHERS: RGBColor = RGBColor(0x9a, 0xa4, 0xb2);
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);

/// Draws what each server cost in one scenario; those that took no part are left out. Lengths are logarithms, because some
/// take thirty times what others do: each bar's figure stands behind it.
pub(crate) fn draw(row: &Row, servers: &[Server], path: &Path) -> Result<(), Box<dyn Error>> {
    let bars: Vec<(&Server, f64)> = servers
        .iter()
        .zip(&row.cells)
        .filter_map(|(server, cell)| Some((server, cost(row, cell.as_ref().ok()?))))
        .filter(|(_, cost)| cost.is_finite() && *cost > 0.0)
        .collect();
    let highest = bars.iter().map(|(_, cost)| *cost).fold(f64::MIN, f64::max);
    let lowest = bars.iter().map(|(_, cost)| *cost).fold(f64::MAX, f64::min) / 2.0;
    let height = HEAD + BAR * i32::try_from(bars.len())? + 8;
    let area = SVGBackend::new(path, (WIDTH, height.try_into()?)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("{}: {}", row.scenario.description(), words_for_cost(row));
    area.draw(&Text::new(title, (12, 12), ("sans-serif", 16).into_font().color(&INK)))?;
    let label = ("sans-serif", 13).into_font().color(&INK);
    for (at, (server, cost)) in bars.iter().enumerate() {
        let top = HEAD + BAR * i32::try_from(at)?;
        let middle = top + BAR / 2 - 2;
        let color = if matches!(server.kind, Kind::Wharf(..)) { OURS } else { OTHERS };
        let end = LEFT + length(*cost, lowest, highest);
        area.draw(&Rectangle::new([(LEFT, top), (end, top + BAR - 5)], color.filled()))?;
        let right = label.pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(server.name, (LEFT - 8, middle), right))?;
        let left = label.pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(crate::report::cost_in_words(row, *cost), (end + 6, middle), left))?;
    }
    area.present()?;
    Ok(())
}

/// In pixels.
#[expect(clippy::cast_possible_truncation, reason = "pixels")]
fn length(cost: f64, lowest: f64, highest: f64) -> i32 {
    ((cost / lowest).ln() / (highest / lowest).ln() * f64::from(LONGEST)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_cost_is_the_longest_bar_and_none_is_without_length() {
        assert_eq!(length(8.0, 1.0, 8.0), LONGEST);
        assert!(length(2.0, 1.0, 8.0) > 0);
        assert!(length(4.0, 1.0, 8.0) > length(2.0, 1.0, 8.0));
    }
}
