//! Who does not get an event, though it is for a room that they are in.

use super::RoomName;

/// The id of a client's connection, of which the service has one form and Node servers another: what is excepted by
/// its id may be anybody's, and each `socket.to(room)` of a Node server excepts one of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketId(Box<str>);

impl SocketId {
    /// 96 random bits in base64, as engineioxide makes them. A Node server's have 20 characters.
    const CHARS: usize = 16;

    /// Returns `None` where the text can be no id of this service's sockets.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == Self::CHARS && text.bytes().all(allowed)).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Members of rooms, and sockets. At least one, and not more than [`Self::MAX`].
#[derive(PartialEq, Eq, Debug)]
pub struct Except {
    rooms: Box<[RoomName]>,
    sockets: Box<[SocketId]>,
}

/// More than an event takes along.
#[derive(PartialEq, Eq, Debug)]
pub struct TooManyExcepted;

impl Except {
    pub const MAX: usize = 64;

    /// What of these names may be of this service; `None` where nothing is.
    ///
    /// # Errors
    /// [`TooManyExcepted`] where it is more than [`Self::MAX`].
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Option<Self>, TooManyExcepted> {
        let (mut rooms, mut sockets) = (Vec::new(), Vec::new());
        for name in names {
            if let Some(room) = RoomName::parse(name) {
                rooms.push(room);
            } else {
                sockets.extend(SocketId::parse(name));
            }
            if rooms.len() + sockets.len() > Self::MAX {
                return Err(TooManyExcepted);
            }
        }
        let except = Self { rooms: rooms.into(), sockets: sockets.into() };
        Ok((except.len() > 0).then_some(except))
    }

    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.rooms.len() + self.sockets.len()
    }

    pub fn rooms(&self) -> &[RoomName] {
        &self.rooms
    }

    pub fn names_socket(&self, id: &str) -> bool {
        self.sockets.iter().any(|socket| socket.as_str() == id)
    }

    /// As [`Self::of`] takes them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rooms.iter().map(RoomName::as_str).chain(self.sockets.iter().map(SocketId::as_str))
    }
}

#[cfg(test)]
mod tests {
    use engineioxide::sid::Sid;

    use super::*;

    /// From `base64id`, which a Node server names its sockets with.
    const NODES: &str = "kJ3-x_9LmWq0ZtYvAAAB";

    #[test]
    fn an_id_of_this_service_is_told_from_a_node_servers() {
        for _ in 0..1_000 {
            let id = Sid::new();
            assert_eq!(SocketId::parse(id.as_str()).expect("one of ours").as_str(), id.as_str());
        }
        for other in ["", "lobby", NODES, "fifteen-letters", "seventeen-letters", "sixteen.letters!", "ünfzehn-letters"]
        {
            assert_eq!(SocketId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_is_of_this_service_is_excepted() {
        assert_eq!(Except::of([NODES, "lobby"]), Ok(None));
        let names = ["user:anyone", "abcdefghijklmn-_", NODES, "kitchen:c12345678"];
        let except = Except::of(names).unwrap().unwrap();
        assert_eq!(except.len(), 3);
        assert!(except.names_socket("abcdefghijklmn-_") && !except.names_socket(NODES));
        assert_eq!(Except::of(except.names()), Ok(Some(Except::of(names).unwrap().unwrap())));
    }

    #[test]
    fn they_are_bounded_without_what_is_not_of_this_service() {
        let names: Vec<String> = (0..=Except::MAX).map(|n| format!("user:{n}")).collect();
        let of =
            |names: &[String]| Except::of(names.iter().map(String::as_str)).map(|except| except.map(|it| it.len()));
        assert_eq!(of(&names), Err(TooManyExcepted));
        assert_eq!(of(&names[1..]), Ok(Some(Except::MAX)));
        assert_eq!(of(&vec![NODES.to_owned(); 1_000]), Ok(None));
    }
}
