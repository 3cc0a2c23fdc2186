//! Two small companies: a parcel carrier and a maker of lamps.

use crate::people::Role;
use crate::store::Priority;

/// An org as it is on the first day.
pub(super) struct Org {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// Login name, display name, role.
    pub(super) people: &'static [(&'static str, &'static str, Role)],
    /// Who writes from outside.
    pub(super) contacts: &'static [&'static str],
    /// What letters are about; stands for `{topic}`.
    pub(super) topics: &'static [&'static str],
    /// Subject and body. `{name}` is the reader's first name.
    pub(super) letters: &'static [(&'static str, &'static str)],
    pub(super) tasks: &'static [&'static str],
    /// Column id, label, cards.
    pub(super) board: &'static [(&'static str, &'static str, &'static [&'static str])],
}

/// The tasks of a desk: days from today until each is due, priority, and whether it is done.
pub(super) const DUE: [(Option<i64>, Priority, bool); 14] = [
    (Some(-3), Priority::High, false),
    (Some(-1), Priority::Normal, false),
    (Some(0), Priority::High, false),
    (Some(0), Priority::Normal, false),
    (Some(1), Priority::Normal, false),
    (Some(2), Priority::High, false),
    (Some(4), Priority::Normal, false),
    (Some(8), Priority::Low, false),
    (Some(13), Priority::Normal, false),
    (None, Priority::Normal, false),
    (None, Priority::Low, false),
    (Some(-6), Priority::Normal, true),
    (Some(-2), Priority::High, true),
    (None, Priority::Low, true),
];

pub(super) const ACME: Org = Org {
    name: "acme",
    label: "Acme Parcels",
    people: &[
        ("alice", "Alice Moreau", Role::Owner),
        ("amir", "Amir Haddad", Role::Member),
        ("bea", "Bea Lindqvist", Role::Member),
        ("victor", "Victor Osei", Role::Viewer),
    ],
    contacts: &[
        "Nora Feld, Harbour Depot",
        "Tomas Reyes, Reyes Tyres",
        "Ines Kovac, City Permits",
        "Jonas Brandt, Brandt Insurance",
        "Mei Tan, Tan Packaging",
        "Paul Okafor, Bookshop on the Square",
    ],
    topics: &[
        "the north route",
        "the new vans",
        "the harbour depot",
        "Saturday deliveries",
        "the label printers",
        "the returns desk",
        "the winter schedule",
    ],
    letters: &[
        (
            "Question about {topic}",
            "Hi {name}, before we go on with {topic}: who decides, you or the depot? I would rather ask once than be wrong twice.",
        ),
        (
            "Invoice for {topic}",
            "Please find the invoice for {topic} in the shared folder. It is payable within thirty days; tell me if the cost centre is wrong.",
        ),
        (
            "{topic}: numbers for last week",
            "Last week: 412 parcels, 9 late, 2 damaged. Most of the late ones have to do with {topic}. I can explain on the phone.",
        ),
        (
            "Can we move the meeting about {topic}?",
            "Hello {name}, Thursday has become difficult. Would Friday at ten suit you for {topic}? If not, any time on Monday.",
        ),
        (
            "Complaint from a customer",
            "A customer waited the whole afternoon and nobody came. It seems to be about {topic}. Could somebody call her back today?",
        ),
        (
            "Draft: {topic}",
            "I have written down what we said about {topic}. It is one page. Please read it before tomorrow, the second paragraph above all.",
        ),
        ("Thank you", "{name}, thank you for taking care of {topic} so quickly. Everybody here noticed."),
        (
            "Reminder: {topic}",
            "A friendly reminder that we still need your answer on {topic}. Without it we will go ahead with what we had last year.",
        ),
        (
            "Keys, badges and {topic}",
            "Two badges have not come back. Since they open the gate that we use for {topic}, I will block them on Monday unless I hear from you.",
        ),
        (
            "Offer for {topic}",
            "As promised, our offer for {topic}. The price holds until the end of the month; with a two-year contract we can take off another six per cent.",
        ),
        (
            "Minutes: {topic}",
            "Agreed: we try {topic} for four weeks, then we look at the figures. Open: who pays for the overtime. Next meeting in a fortnight.",
        ),
    ],
    tasks: &[
        "Call back the customer about the broken vase",
        "Approve the overtime for the harbour depot",
        "Sign the lease for the two vans",
        "Send the route plan to the drivers",
        "Answer the city about the loading zone",
        "Check the insurance for Saturday deliveries",
        "Write the notice about the winter schedule",
        "Order labels and tape",
        "Compare offers for tyres",
        "Read the draft on returns",
        "Clean up the shared folder",
        "Book the first-aid course",
        "Pay the depot's water bill",
        "Thank the drivers for last week",
        "Find a speaker for the summer party",
        "Update the phone list",
    ],
    board: &[
        ("ideas", "Ideas", &["Lockers at the station", "Text message one stop ahead", "Cargo bikes for the old town"]),
        (
            "todo",
            "To do",
            &[
                "Renew the loading permit",
                "New labels for fragile parcels",
                "Depot gate opens too slowly",
                "Train two people on the sorter",
            ],
        ),
        ("doing", "Doing", &["Winter schedule", "Move returns to the back room"]),
        ("review", "In review", &["Price list for next year"]),
        ("done", "Done", &["Van 7 repaired", "New safety vests", "Harbour depot on one key"]),
    ],
};

pub(super) const GLOBEX: Org = Org {
    name: "globex",
    label: "Globex Lamps",
    people: &[("zoe", "Zoe Lindgren", Role::Owner), ("gus", "Gus Pereira", Role::Member)],
    contacts: &[
        "Hana Sato, Sato Glass",
        "Luca Conti, Studio Conti",
        "Emma Wills, Wills & Daughter",
        "Ravi Menon, Menon Electric",
        "Olga Petrova, Fair Office",
    ],
    topics: &[
        "the brass lamp",
        "the spring fair",
        "the glass order",
        "the dimmer",
        "the shop in Lisbon",
        "the catalogue",
    ],
    letters: &[
        (
            "Samples of {topic}",
            "Dear {name}, the samples for {topic} left us this morning. Two are a shade too warm; we kept them in so that you can see the difference.",
        ),
        (
            "{topic}: when can you deliver?",
            "We have a customer for forty pieces and she asks about {topic}. Could you tell us a week, even if it is a late one?",
        ),
        (
            "Photos for {topic}",
            "The photographer can come on Tuesday or not before May. For {topic} we would need an empty white wall and about two hours.",
        ),
        (
            "Test report: {topic}",
            "Passed, with one remark: the cable of {topic} gets warmer than last time, though well within limits. I would look at it before the next batch.",
        ),
        (
            "Price of brass",
            "Brass is up four per cent since January. For {topic} that is about ninety cents a piece. Shall we buy ahead or wait?",
        ),
        (
            "Stand plan",
            "Here is the plan of the hall. Your stand is by the door, which is good for {topic} and bad for the heating. Please confirm by Friday.",
        ),
        (
            "Return from a shop",
            "One shop sent back three of twelve. The boxes were wet. I think it was the carrier and not {topic}, but you should know.",
        ),
        (
            "Sketch",
            "{name}, I could not sleep and drew {topic} again, with a thinner foot. Tell me honestly whether it is worth a model.",
        ),
        (
            "Contract for {topic}",
            "The contract for {topic} is ready to sign. Nothing has changed but the date on page three.",
        ),
        ("Lunch?", "I am in town on Wednesday. We could talk about {topic}, or about anything else."),
    ],
    tasks: &[
        "Approve the samples from Sato Glass",
        "Decide on the brass before Friday",
        "Send the fair office our stand plan",
        "Call the shop in Lisbon",
        "Write the text for the catalogue",
        "Look at the warm cable",
        "Answer the customer with forty pieces",
        "Book the photographer",
        "Count the boxes in the cellar",
        "Read the contract once more",
        "Draw the thinner foot",
        "Pay the fair deposit",
        "Renew the domain",
        "Water the plants in the showroom",
        "Thank Hana for the express glass",
    ],
    board: &[
        ("sketch", "Sketch", &["Reading lamp for two", "Lamp that folds flat", "Outdoor lantern"]),
        ("model", "Model", &["Brass lamp, thinner foot", "Dimmer without a click"]),
        ("batch", "First batch", &["Glass globe, smoke grey"]),
        ("shop", "In the shops", &["Brass lamp", "Wall lamp, small", "Paper shade"]),
    ],
};
