//! A text of sections that stays within a number of bytes: what matters least goes first, in whole
//! rows, and what was left out is counted.

/// Rows with what goes around them, such as a table or a fold. Without rows it is not shown.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub head: String,
    pub rows: Vec<String>,
    pub foot: String,
}

/// What says that rows were left out; takes how many.
pub(super) type Note = Box<dyn Fn(usize) -> String>;

/// A part of the text.
pub(super) struct Section {
    /// 0 is always there, whole; of the others the lowest comes first.
    pub priority: u8,
    pub blocks: Vec<Block>,
    /// Within a block, after its last row.
    pub rows_left_out: Note,
    /// After the last block.
    pub blocks_left_out: Note,
}

impl Section {
    /// Always there.
    pub fn fixed(text: String) -> Self {
        Self {
            priority: 0,
            blocks: vec![Block {
                rows: vec![text],
                ..Block::default()
            }],
            rows_left_out: Box::new(|_| String::new()),
            blocks_left_out: Box::new(|_| String::new()),
        }
    }

    /// One block, whose rows are called so when they are left out.
    pub fn of(priority: u8, block: Block, left_out: impl Fn(usize) -> String + 'static) -> Self {
        let note = std::rc::Rc::new(left_out);
        let same = std::rc::Rc::clone(&note);
        Self {
            priority,
            blocks: vec![block],
            rows_left_out: Box::new(move |n| note(n)),
            blocks_left_out: Box::new(move |n| same(n)),
        }
    }
}

/// How much of a block is kept.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    Rows(usize),
    Nothing,
}

/// Puts the sections together, in their order, in at most `max` bytes (what has priority 0 is there
/// even if that alone is more). The second value is whether anything was left out.
pub(super) fn fit(sections: &[Section], max: usize) -> (String, bool) {
    let mut kept: Vec<Vec<Kept>> = sections
        .iter()
        .map(|s| vec![Kept::Nothing; s.blocks.len()])
        .collect();
    let mut left = max;
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|i| sections[*i].priority);
    // There must be room to say of each section that something is missing.
    for section in sections.iter().filter(|s| s.priority > 0) {
        let rows: usize = section.blocks.iter().map(|b| b.rows.len()).sum();
        let note = (section.blocks_left_out)(rows);
        left = left.saturating_sub(note.len());
    }
    for i in order {
        let section = &sections[i];
        for (b, block) in section.blocks.iter().enumerate() {
            if block.rows.is_empty() {
                continue;
            }
            let all: usize = block.rows.iter().map(String::len).sum();
            let around = block.head.len() + block.foot.len();
            if section.priority == 0 || around + all <= left {
                left = left.saturating_sub(around + all);
                kept[i][b] = Kept::Rows(block.rows.len());
                continue;
            }
            let note = (section.rows_left_out)(block.rows.len()).len();
            let Some(mut room) = left.checked_sub(around + note) else {
                continue;
            };
            let fits = block
                .rows
                .iter()
                .take_while(|row| match room.checked_sub(row.len()) {
                    Some(rest) => {
                        room = rest;
                        true
                    }
                    None => false,
                })
                .count();
            if fits > 0 {
                left = room;
                kept[i][b] = Kept::Rows(fits);
            }
        }
    }
    write(sections, &kept)
}

fn write(sections: &[Section], kept: &[Vec<Kept>]) -> (String, bool) {
    let mut out = String::new();
    let mut cut = false;
    for (section, kept) in sections.iter().zip(kept) {
        let mut missing = 0;
        for (block, kept) in section.blocks.iter().zip(kept) {
            match kept {
                Kept::Rows(n) => {
                    out.push_str(&block.head);
                    out.extend(block.rows.iter().take(*n).map(String::as_str));
                    if *n < block.rows.len() {
                        cut = true;
                        out.push_str(&(section.rows_left_out)(block.rows.len() - n));
                    }
                    out.push_str(&block.foot);
                }
                Kept::Nothing => missing += block.rows.len(),
            }
        }
        if missing > 0 {
            cut = true;
            out.push_str(&(section.blocks_left_out)(missing));
        }
    }
    (out, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(priority: u8, name: &str, rows: usize) -> Section {
        let block = Block {
            head: format!("<{name}>\n"),
            rows: (0..rows).map(|i| format!("{name}{i}\n")).collect(),
            foot: format!("</{name}>\n"),
        };
        Section::of(priority, block, |n| format!("{n} more\n"))
    }

    #[test]
    fn all_is_kept_that_fits() {
        let (text, cut) = fit(&[section(1, "a", 2)], 100);
        assert_eq!(text, "<a>\na0\na1\n</a>\n");
        assert!(!cut);
    }

    #[test]
    fn the_least_important_rows_go_first_and_are_counted() {
        let sections = [section(2, "b", 9), section(1, "a", 3)];
        let (text, cut) = fit(&sections, 54);
        assert!(cut);
        assert!(text.len() <= 54, "{text}");
        assert!(text.contains("a0\na1\na2\n</a>"), "{text}");
        assert!(text.contains("more\n</b>"), "{text}");
        let shown = (0..9).filter(|i| text.contains(&format!("b{i}\n"))).count();
        assert!(text.contains(&format!("{} more\n", 9 - shown)), "{text}");
    }

    #[test]
    fn no_size_is_ever_exceeded() {
        for max in 30..400 {
            let sections = [section(3, "c", 20), section(1, "a", 7), section(2, "b", 30)];
            let (text, _) = fit(&sections, max);
            assert!(text.len() <= max, "{max}: {}", text.len());
        }
    }
}
