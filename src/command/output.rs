//! Results, on standard output: as tables or as JSON lines.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::AsFd,
};

use comfy_table::{ColumnConstraint, Table, Width, presets};
use prost::{Message, Name};

use super::{
    Failure,
    reflect::{lines, to_json},
};
use crate::config::Format;

/// A message that is a row of a table.
pub(super) trait Row: Message + Name {
    /// The names of the columns, in capitals.
    const HEADER: &'static [&'static str];

    /// What is in them, without characters that a terminal acts upon.
    fn cells(&self) -> Vec<String>;
}

/// Where results go. What fails is told elsewhere.
pub(super) struct Output {
    format: Format,
    to: BufWriter<io::Stdout>,
    /// How wide the columns were so far; empty before the header.
    widths: Vec<u16>,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            to: BufWriter::new(io::stdout()),
            widths: Vec::new(),
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Shows the next items of a list at once: a line each.
    pub(super) fn items<T: Row>(&mut self, items: &[T]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_lines(items),
            Format::Table if items.is_empty() => Ok(()),
            Format::Table => {
                let cells = items.iter().map(Row::cells).collect();
                self.rows(T::HEADER, cells)
            }
        }
    }

    /// Shows messages as JSON, a line each, whatever the format.
    pub(super) fn json_lines<T: Message + Name>(&mut self, items: &[T]) -> Result<(), Failure> {
        for item in items {
            writeln!(self.to, "{}", to_json(item)?)?;
        }
        Ok(self.to.flush()?)
    }

    /// Rows under a header, which stands above the first of several calls. Columns never
    /// become narrower.
    pub(super) fn rows(&mut self, header: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if self.widths.is_empty() {
            table.set_header(header.to_vec());
        }
        table.add_rows(rows);
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if let Some(width) = self.widths.get(at) {
                let least = Width::Fixed(width.saturating_add(2));
                column.set_constraint(ColumnConstraint::LowerBoundary(least));
            }
        }
        let widths = table.column_max_content_widths();
        let before = std::mem::take(&mut self.widths).into_iter();
        let before = before.chain(std::iter::repeat(0));
        self.widths = widths
            .into_iter()
            .zip(before)
            .map(|(a, b)| a.max(b))
            .collect();
        writeln!(self.to, "{}", table.trim_fmt())?;
        Ok(self.to.flush()?)
    }

    /// Shows an answer: as JSON whole, for people what it is about, a line for each field.
    pub(super) fn record<R, T>(&mut self, reply: &R, about: Option<&T>) -> Result<(), Failure>
    where
        R: Message + Name,
        T: Message + Name,
    {
        match (self.format, about) {
            (Format::Table, Some(about)) => self.fields(about),
            _ => self.json_lines(std::slice::from_ref(reply)),
        }
    }

    /// What follows is another table, with a header of its own.
    pub(super) fn another_table(&mut self) -> Result<(), Failure> {
        self.widths.clear();
        self.line("")
    }

    /// The fields of a message, a line each.
    pub(super) fn fields<T: Message + Name>(&mut self, message: &T) -> Result<(), Failure> {
        let fields = lines(message)?;
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &fields {
            writeln!(self.to, "{name:width$}  {value}")?;
        }
        Ok(self.to.flush()?)
    }

    /// Shows an answer: as JSON whole, for people as a sentence.
    pub(super) fn sentence<R: Message + Name>(
        &mut self,
        reply: &R,
        sentence: &str,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.line(sentence),
            Format::Json => self.json_lines(std::slice::from_ref(reply)),
        }
    }

    /// Makes what was shown durable, where it goes to a file.
    pub(super) fn sync(&mut self) -> Result<(), Failure> {
        self.to.flush()?;
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        // A terminal and a pipe keep nothing.
        if file.metadata()?.is_file() {
            file.sync_data()?;
        }
        Ok(())
    }

    /// A line as it is.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.to, "{line}")?;
        Ok(self.to.flush()?)
    }
}
