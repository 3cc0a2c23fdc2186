//! What the agents work on: the mails and the customers of a small shop.

/// A mail as it came in.
pub(crate) struct Mail {
    pub(crate) from: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) text: &'static str,
}

/// Someone who buys something.
pub(crate) struct Customer {
    pub(crate) name: &'static str,
    pub(crate) city: &'static str,
    pub(crate) since: u16,
}

pub(crate) const CUSTOMERS: [Customer; 3] = [
    Customer { name: "Acme", city: "Lyon", since: 2019 },
    Customer { name: "Globex", city: "Porto", since: 2023 },
    Customer { name: "Initech", city: "Graz", since: 2021 },
];

pub(crate) const MAILS: [Mail; 5] = [
    Mail {
        from: "Acme",
        subject: "Delivery",
        text: "The delivery of forty chairs arrived on Monday. Two of the chairs have a broken leg. \
               Please send two new chairs before the opening on Friday.",
    },
    Mail { from: "Acme", subject: "Thanks", text: "Thank you for the quick reply." },
    Mail {
        from: "Globex",
        subject: "Invoice 118",
        text: "The invoice for the lamps counts ten lamps. We received eight lamps. \
               Please send a new invoice for eight lamps.",
    },
    Mail {
        from: "Initech",
        subject: "Opening hours",
        text: "Is the shop open on Friday? We would like to look at the chairs before we order.",
    },
    Mail { from: "Initech", subject: "Parking", text: "Where can we park?" },
];

/// All mails as one text.
pub(crate) fn text() -> String {
    MAILS.map(|mail| mail.text).join(" ")
}
