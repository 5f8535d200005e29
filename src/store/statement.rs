//! SQL that diesel's query builder has no words for, as statements that are
//! prepared once per connection all the same.

/// Declares a statement with a static query id, made of pieces: `"text"`,
/// `{CONSTANT}`, `[SqlType: place]` for the next parameter, and `(fragment)` for a piece that
/// other statements have as well, whose text is always the same.
///
/// `statement!(Name(&Input) -> SqlTypes = |input| "text ", [SqlType: input.field], " text")`
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident(&$input:ty) -> $row:ty = |$it:ident| $($piece:tt),+ $(,)?) => {
        $(#[$doc])*
        struct $name<'a>(&'a $input);

        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                let $it = self.0;
                $($crate::store::statement::push_piece!(out, $piece);)+
                Ok(())
            }
        }

        impl diesel::query_builder::Query for $name<'_> {
            type SqlType = $row;
        }
    };
}

macro_rules! push_piece {
    ($out:ident, [$sql_type:ty: $bind:expr]) => {
        $out.push_bind_param::<$sql_type, _>(&$bind)?
    };
    ($out:ident, ($fragment:expr)) => {
        diesel::query_builder::QueryFragment::walk_ast(&$fragment, $out.reborrow())?
    };
    ($out:ident, {$text:expr}) => {
        $out.push_sql($text)
    };
    ($out:ident, $text:literal) => {
        $out.push_sql($text)
    };
}

/// Declares how many rows a statement takes at most, and the piece of it that says so.
macro_rules! limit {
    ($(#[$doc:meta])* $name:ident, $piece:ident = $number:literal) => {
        $(#[$doc])*
        pub const $name: usize = $number;
        const $piece: &str = concat!("LIMIT ", $number);
    };
}

pub(super) use {limit, push_piece, statement};
