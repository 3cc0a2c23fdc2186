//! The first day: the people, and a desk for each that looks as if somebody had been working at it.

mod words;

use rusqlite::Connection;

use crate::clock::{Day, Moment};
use crate::error::Result;
use crate::people::{Person, Role};
use crate::secret;
use crate::store::{NewMessage, Store, board, inbox, login, people, tasks};
use words::{ACME, GLOBEX, Org};

/// Long enough that nobody, and no AI, wants it all at once.
const MESSAGES_EACH: usize = 180;
/// The newest ones, some of which nobody has read yet.
const RECENT: usize = 24;

/// Fills an empty store, all of it or nothing; leaves one with people in it alone.
pub(crate) fn fill(store: &Store) -> Result<()> {
    if !store.people()?.is_empty() {
        return Ok(());
    }
    store.in_transaction(|connection| {
        fill_org(connection, &ACME)?;
        fill_org(connection, &GLOBEX)
    })
}

fn fill_org(connection: &Connection, org: &Org) -> Result<()> {
    people::insert_org(connection, org.name, org.label)?;
    let staff: Vec<Person> = org.people.iter().map(|&(name, display, role)| person(org, name, display, role)).collect();
    for person in &staff {
        let signature = format!("{}\n{}", person.display, org.label);
        people::insert_person(connection, person, &signature)?;
        login::insert_development_token(connection, &secret::token(), &person.name)?;
    }
    for (nth, person) in staff.iter().enumerate() {
        fill_tasks(connection, org, person, nth)?;
        fill_inbox(connection, org, &staff, nth)?;
    }
    fill_board(connection, org, &staff)
}

fn person(org: &Org, name: &str, display: &str, role: Role) -> Person {
    Person { name: name.to_owned(), display: display.to_owned(), org: org.name.to_owned(), role }
}

fn fill_tasks(connection: &Connection, org: &Org, person: &Person, nth: usize) -> Result<()> {
    let today = Day::today();
    // Everybody starts elsewhere in the list, so that no two desks are alike.
    for (position, title) in org.tasks.iter().cycle().skip(nth * 5).take(words::DUE.len()).enumerate() {
        let (due, priority, done) = words::DUE[position];
        let due = due.map(|days| today.plus(days));
        let id = tasks::insert_task(connection, &person.name, title, due, priority)?;
        if done {
            tasks::mark_done(connection, id)?;
        }
    }
    Ok(())
}

fn fill_inbox(connection: &Connection, org: &Org, staff: &[Person], nth: usize) -> Result<()> {
    let owner = &staff[nth];
    let colleagues: Vec<&Person> = staff.iter().filter(|person| person.name != owner.name).collect();
    let moments = working_hours_back(Moment::now());
    for (age, received) in moments.take(MESSAGES_EACH).enumerate().collect::<Vec<_>>().into_iter().rev() {
        let mixed = age * 7 + nth * 13;
        let (subject, body) = org.letters[mixed % org.letters.len()];
        let topic = org.topics[(mixed / org.letters.len() + age) % org.topics.len()];
        // Two of three letters come from outside.
        let colleague = mixed.is_multiple_of(3).then(|| colleagues[age / 3 % colleagues.len()]);
        let sender = colleague.map_or(org.contacts[(mixed / 3) % org.contacts.len()], |colleague| &colleague.display);
        let message = NewMessage {
            owner: &owner.name,
            sender,
            colleague: colleague.map(|colleague| colleague.name.as_str()),
            subject: &capitalised(&subject.replace("{topic}", topic)),
            body: &body.replace("{topic}", topic).replace("{name}", first_name(&owner.display)),
            received,
            unread: age < RECENT && mixed.is_multiple_of(2),
        };
        inbox::insert_message(connection, &message)?;
    }
    Ok(())
}

fn fill_board(connection: &Connection, org: &Org, staff: &[Person]) -> Result<()> {
    for (position, (id, label, _)) in org.board.iter().enumerate() {
        board::insert_column(connection, org.name, id, label, position)?;
    }
    let authors: Vec<&Person> = staff.iter().filter(|person| person.role != Role::Viewer).collect();
    let cards = org.board.iter().flat_map(|(id, _, titles)| titles.iter().map(move |title| (id, title)));
    for (nth, (column, title)) in cards.enumerate() {
        board::insert_card(connection, org.name, column, title, &authors[nth % authors.len()].name)?;
    }
    Ok(())
}

/// Moments at which somebody would write a letter: four a working day, back from `now`, newest first.
fn working_hours_back(now: Moment) -> impl Iterator<Item = Moment> {
    let days = (0..).map(move |back| now.day().plus(-back)).filter(|day| !day.is_weekend());
    let times = [(16, 42), (13, 15), (10, 58), (8, 31)];
    days.flat_map(move |day| times.map(|(hour, minute)| day.at(hour, minute))).filter(move |moment| *moment <= now)
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn first_name(display: &str) -> &str {
    display.split(' ').next().unwrap_or(display)
}
