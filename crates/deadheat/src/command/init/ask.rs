//! The questions, on a terminal: one line each, asked again until the answer can be used.

use std::io::{BufRead, Write};

use super::text::{Answers, Sent};
use crate::problem::Problem;

/// Asks a person.
pub struct Asking<'a> {
    /// Where answers come from, a line each.
    pub from: &'a mut dyn BufRead,
    /// Where questions go.
    pub to: &'a mut dyn Write,
}

impl Asking<'_> {
    /// Asks for what the flags have not said. `there` says whether a path can be used.
    pub fn fill(
        &mut self,
        answers: &mut Answers,
        there: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<(), Problem> {
        if answers.run.is_empty() {
            let question = "The command that starts the service (it gets DATABASE_URL and PORT)";
            answers.run = self.until(question, |text| match text {
                "" => Err("it is needed: what you would type into a terminal".to_owned()),
                text => Ok(text.to_owned()),
            })?;
        }
        if answers.setup.is_empty() && answers.prepare.is_none() && answers.sql.is_none() {
            self.database(answers, there)?;
        }
        if answers.ready.is_none() {
            let question =
                "A path that answers GET when it is ready (empty: as soon as its port is open)";
            answers.ready = self.until(question, |text| match text {
                "" => Ok(None),
                path if path.starts_with('/') => Ok(Some(path.to_owned())),
                _ => Err("a path begins with /, as in /health".to_owned()),
            })?;
        }
        if answers.requests.is_empty() {
            self.requests(answers)?;
        }
        Ok(())
    }

    fn database(
        &mut self,
        answers: &mut Answers,
        there: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<(), Problem> {
        let question = "A file of SQL that makes the tables (empty: there is none)";
        let file = self.until(question, |text| match text {
            "" => Ok(None),
            path => there(path).map(Some),
        })?;
        answers.setup.extend(file);
        let question = "A command that makes or fills them, such as a migration (empty: none)";
        answers.prepare = self.until(question, |text| {
            Ok((!text.is_empty()).then(|| text.to_owned()))
        })?;
        Ok(())
    }

    fn requests(&mut self, answers: &mut Answers) -> Result<(), Problem> {
        let question = "A request, as in POST /orders {\"item\": 1}";
        answers.requests.push(self.until(question, Sent::parse)?);
        let mut question = "One that comes at the same time (empty: the same once more)";
        loop {
            let sent = self.until(question, |text| match text {
                "" => Ok(None),
                text => Sent::parse(text).map(Some),
            })?;
            let Some(sent) = sent else {
                return Ok(());
            };
            answers.requests.push(sent);
            question = "One more (empty: that is all)";
        }
    }

    /// Asks for yes or no; an empty answer is yes.
    pub fn agrees(&mut self, question: &str) -> Result<bool, Problem> {
        self.until(&format!("{question} [Y/n]"), |text| {
            match text.to_lowercase().as_str() {
                "" | "y" | "yes" => Ok(true),
                "n" | "no" => Ok(false),
                _ => Err("y or n".to_owned()),
            }
        })
    }

    fn until<T>(
        &mut self,
        question: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Problem> {
        let cannot = |error| Problem::other(format!("cannot ask: {error}"), None);
        loop {
            write!(self.to, "{question}: ").map_err(cannot)?;
            self.to.flush().map_err(cannot)?;
            let mut line = String::new();
            if self.from.read_line(&mut line).map_err(cannot)? == 0 {
                // The question stands there without an answer.
                writeln!(self.to).map_err(cannot)?;
                return Err(Problem::other("no answer; nothing was written", None));
            }
            match read(line.trim()) {
                Ok(answer) => return Ok(answer),
                Err(why) => writeln!(self.to, "  {why}").map_err(cannot)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(typed: &str, answers: &mut Answers) -> (Result<(), String>, String) {
        let mut to = Vec::new();
        let mut from = typed.as_bytes();
        let mut asking = Asking {
            from: &mut from,
            to: &mut to,
        };
        let there = |path: &str| match path {
            "schema.sql" => Ok(path.to_owned()),
            _ => Err(format!("there is no {path}")),
        };
        let end = asking
            .fill(answers, &there)
            .map_err(|problem| problem.to_string());
        (end, String::from_utf8(to).expect("text"))
    }

    #[test]
    fn a_person_is_asked_until_the_answer_can_be_used() {
        let mut answers = Answers::default();
        let typed = "\nnode app.js\nshema.sql\nschema.sql\n\nhealth\n/health\nPOST\nPOST /a {\"x\": 1}\nDELETE /a\n\n";
        let (end, said) = ask(typed, &mut answers);
        assert_eq!(end, Ok(()));
        insta::assert_snapshot!(said.replace("): ", "):\n"));
        assert_eq!(answers.run, "node app.js");
        assert_eq!(answers.setup, ["schema.sql"]);
        assert_eq!(answers.prepare, None);
        assert_eq!(answers.ready.as_deref(), Some("/health"));
        let lines: Vec<_> = answers.requests.iter().map(|sent| &sent.line).collect();
        assert_eq!(lines, ["POST /a", "DELETE /a"]);
    }

    #[test]
    fn what_flags_have_said_is_not_asked() {
        let mut answers = Answers {
            run: "x".to_owned(),
            prepare: Some("y".to_owned()),
            ready: Some("/".to_owned()),
            ..Answers::default()
        };
        let (end, said) = ask("GET /\n\n", &mut answers);
        assert_eq!(end, Ok(()));
        assert_eq!(said.matches("A request").count(), 1, "{said}");
        assert!(!said.contains("command"), "{said}");
    }

    #[test]
    fn a_person_goes_away() {
        let (end, _) = ask("node app.js\n", &mut Answers::default());
        assert_eq!(end, Err("no answer; nothing was written".to_owned()));
    }
}
