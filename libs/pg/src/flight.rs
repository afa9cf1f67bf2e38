//! Statements that are sent together.

use crate::Statement;
use tokio_postgres::types::ToSql;

/// Parameters of one statement.
pub(crate) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// One parameter that a flight owns; [`params!`](crate::params) makes a list of them.
pub type Param<'p> = Box<dyn ToSql + Send + Sync + 'p>;

/// Statements to send together, in order, with their parameters.
#[derive(Default)]
pub struct Flight<'p>(Vec<(Statement, Vec<Param<'p>>)>);

impl<'p> Flight<'p> {
    /// Adds a statement behind the others.
    pub fn add(&mut self, statement: Statement, params: Vec<Param<'p>>) {
        self.0.push((statement, params));
    }

    /// Returns how many statements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn params(&self) -> Vec<Vec<&(dyn ToSql + Sync)>> {
        self.0.iter().map(|(_, params)| borrowed(params)).collect()
    }

    pub(crate) fn statements<'a>(
        &self,
        params: &'a [Vec<&'a (dyn ToSql + Sync)>],
    ) -> Vec<(Statement, Params<'a>)> {
        self.0.iter().zip(params).map(|((statement, _), p)| (*statement, p.as_slice())).collect()
    }
}

fn borrowed<'a>(params: &'a [Param<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect()
}

/// Makes the parameters of one statement of a [`Flight`].
#[macro_export]
macro_rules! params {
    ($($param:expr),* $(,)?) => { vec![$(Box::new($param) as $crate::Param<'_>),*] };
}
