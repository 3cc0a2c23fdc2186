//! Who is at a board: a face for each person, and one for each person's AIs.

use std::fmt::Write as _;

use grove_engine::{ParticipantKind, ParticipantView, Status};

use crate::html::Escaped;

/// A person, the AIs of one, or a session that one has launched under a name: however many browsers or connections they
/// have, they are one.
#[derive(Debug, PartialEq, Eq)]
struct Face {
    user: String,
    name: String,
    is_ai: bool,
    is_online: bool,
}

/// The section with the faces of these participants, in the order in which they came.
pub(super) fn show(participants: &[ParticipantView]) -> String {
    html(&merged(participants.iter().map(face)))
}

fn face(participant: &ParticipantView) -> Face {
    Face {
        user: participant.user.as_deref().unwrap_or_default().to_owned(),
        name: participant.name.to_string(),
        is_ai: participant.kind != ParticipantKind::Person,
        is_online: participant.status == Status::Online,
    }
}

/// One face for each user, kind and name, which is online if any of its participants is.
fn merged(participants: impl Iterator<Item = Face>) -> Vec<Face> {
    participants.fold(Vec::new(), |mut faces: Vec<Face>, next| {
        let same = |face: &&mut Face| face.user == next.user && face.is_ai == next.is_ai && face.name == next.name;
        match faces.iter_mut().find(same) {
            Some(face) => face.is_online |= next.is_online,
            None => faces.push(next),
        }
        faces
    })
}

fn html(faces: &[Face]) -> String {
    let ais = faces.iter().filter(|face| face.is_ai).count();
    let (people, ais) = (counted(faces.len() - ais, "person", "people"), counted(ais, "AI", "AIs"));
    let mut html = format!("<h2>Who is here <small>{people}, {ais}</small></h2><ul class=\"faces\">");
    for Face { user, name, is_ai, is_online } in faces {
        let kind = if *is_ai { "agent" } else { "person" };
        let status = if *is_online { "online" } else { "offline" };
        let initials = if *is_ai { "AI".to_owned() } else { initials(name) };
        let _ = write!(
            html,
            "<li class=\"face {kind} {status}\" data-user=\"{}\"><span class=\"initials\" aria-hidden=\"true\">{}</span>\
             <span>{} <small>{status}</small></span></li>",
            Escaped(user),
            Escaped(&initials),
            Escaped(name)
        );
    }
    html.push_str("</ul>");
    html
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// The first letters of the first and the last name.
fn initials(name: &str) -> String {
    let mut words = name.split_whitespace();
    let letters = [words.next(), words.next_back()].into_iter().flatten().filter_map(|word| word.chars().next());
    letters.flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(user: &str, name: &str, is_ai: bool, is_online: bool) -> Face {
        Face { user: user.to_owned(), name: name.to_owned(), is_ai, is_online }
    }

    #[test]
    fn a_person_with_two_browsers_has_one_face_which_is_online_if_any_is() {
        let came = [
            face("amir", "Amir Haddad", false, false),
            face("bea", "Bea Lindqvist", false, false),
            face("amir", "Amir Haddad's AI", true, false),
            face("amir", "Amir Haddad", false, true),
        ];
        let seen = merged(came.into_iter());
        let shown: Vec<_> = seen.iter().map(|face| (face.name.as_str(), face.is_online)).collect();
        assert_eq!(shown, [("Amir Haddad", true), ("Bea Lindqvist", false), ("Amir Haddad's AI", false)]);
        let html = html(&seen);
        assert!(html.contains("2 people, 1 AI<"), "{html}");
        assert!(html.contains("<li class=\"face person offline\" data-user=\"bea\">"), "{html}");
        assert!(html.contains("<li class=\"face agent offline\" data-user=\"amir\">"), "{html}");
    }

    #[test]
    fn no_name_means_anything_to_a_browser() {
        let html = html(&[face("\"><b>", "<i>Eve</i> <script>", false, true)]);
        assert!(
            html.contains("data-user=\"&quot;&gt;&lt;b&gt;\"") && html.contains("&lt;i&gt;Eve&lt;/i&gt;"),
            "{html}"
        );
        assert!(!html.contains("<script") && !html.contains("<i>"), "{html}");
    }

    #[test]
    fn initials_are_those_of_the_first_and_the_last_name() {
        for (name, letters) in [("Alice Moreau", "AM"), ("Ana de la Cruz", "AC"), ("ße", "SS"), ("", ""), ("é", "É")]
        {
            assert_eq!(initials(name), letters, "{name}");
        }
    }
}
