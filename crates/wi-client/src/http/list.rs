//! Bounds on lists that come page by page: a server that never ends one must not keep `wi` forever, nor
//! have all of its memory.

/// Of Kubernetes objects five million.
const MOST_PAGES: usize = 10_000;

/// Things in all pages together: five times the pods of the largest GKE clusters.
const MOST_ITEMS: usize = 1_000_000;

/// In bytes. The pods of the largest GKE clusters are about half of it.
const LARGEST: u64 = 4 << 30;

/// What a list may still take.
#[derive(Debug)]
pub(crate) struct ListBudget {
    pages: usize,
    items: usize,
    bytes: u64,
}

impl Default for ListBudget {
    fn default() -> Self {
        Self {
            pages: MOST_PAGES,
            items: MOST_ITEMS,
            bytes: LARGEST,
        }
    }
}

impl ListBudget {
    /// For a list of which there are never so many pages.
    pub fn of_pages(pages: usize) -> Self {
        Self {
            pages,
            ..Self::default()
        }
    }

    /// Takes a page; the error is for the user.
    pub fn take(&mut self, items: usize, bytes: usize) -> Result<(), String> {
        let endless = |what: String| format!("the list does not end: {what} and more");
        let pages = self.pages.checked_sub(1);
        self.pages = pages.ok_or_else(|| endless("thousands of pages".to_owned()))?;
        let left = self.items.checked_sub(items);
        self.items = left.ok_or_else(|| endless(format!("{MOST_ITEMS} items")))?;
        let left = self.bytes.checked_sub(bytes as u64);
        self.bytes = left.ok_or_else(|| endless(format!("{} MiB", LARGEST >> 20)))?;
        Ok(())
    }
}
