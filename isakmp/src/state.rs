use core::fmt;

/// Who started an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// We did.
    Initiator,
    /// The peer did.
    Responder,
}

/// `I` or `R`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiator => "I",
            Self::Responder => "R",
        })
    }
}

/// Where an exchange is, in IOS's names. The states themselves are private and own their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StateKind {
    /// Nothing has happened.
    IkeReady,
    /// MM1 sent.
    IkeInitiatorMm1,
    /// MM2 received.
    IkeInitiatorMm2,
    /// MM3 sent.
    IkeInitiatorMm3,
    /// MM4 received.
    IkeInitiatorMm4,
    /// MM5 sent.
    IkeInitiatorMm5,
    /// MM6 received.
    IkeInitiatorMm6,
    /// AM1 sent.
    IkeInitiatorAm1,
    /// AM2 received.
    IkeInitiatorAm2,
    /// AM1 received.
    IkeResponderAm1,
    /// AM2 sent.
    IkeResponderAm2,
    /// MM1 received.
    IkeResponderMm1,
    /// MM2 sent.
    IkeResponderMm2,
    /// MM3 received.
    IkeResponderMm3,
    /// MM4 sent.
    IkeResponderMm4,
    /// MM5 received.
    IkeResponderMm5,
    /// Phase 1 is complete.
    IkePhase1Complete,
    /// Phase 1 is complete and was deleted or replaced.
    IkeDestroyed,
    /// A quick mode exists.
    QuickModeReady,
    /// QM1 sent.
    QuickModeInitiatorQm1,
    /// QM1 received, waiting for an SPI.
    QuickModeSpiStarve,
    /// QM2 sent.
    QuickModeResponderQm2,
    /// Quick mode is complete.
    QuickModePhase2Complete,
}

impl StateKind {
    /// The name in IOS's debug output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IkeReady => "IKE_READY",
            Self::IkeInitiatorMm1 => "IKE_I_MM1",
            Self::IkeInitiatorMm2 => "IKE_I_MM2",
            Self::IkeInitiatorMm3 => "IKE_I_MM3",
            Self::IkeInitiatorMm4 => "IKE_I_MM4",
            Self::IkeInitiatorMm5 => "IKE_I_MM5",
            Self::IkeInitiatorMm6 => "IKE_I_MM6",
            Self::IkeInitiatorAm1 => "IKE_I_AM1",
            Self::IkeInitiatorAm2 => "IKE_I_AM2",
            Self::IkeResponderAm1 => "IKE_R_AM1",
            Self::IkeResponderAm2 => "IKE_R_AM2",
            Self::IkeResponderMm1 => "IKE_R_MM1",
            Self::IkeResponderMm2 => "IKE_R_MM2",
            Self::IkeResponderMm3 => "IKE_R_MM3",
            Self::IkeResponderMm4 => "IKE_R_MM4",
            Self::IkeResponderMm5 => "IKE_R_MM5",
            Self::IkePhase1Complete => "IKE_P1_COMPLETE",
            Self::IkeDestroyed => "IKE_DEST_SA",
            Self::QuickModeReady => "IKE_QM_READY",
            Self::QuickModeInitiatorQm1 => "IKE_QM_I_QM1",
            Self::QuickModeSpiStarve => "IKE_QM_SPI_STARVE",
            Self::QuickModeResponderQm2 => "IKE_QM_R_QM2",
            Self::QuickModePhase2Complete => "IKE_QM_PHASE2_COMPLETE",
        }
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The older, coarse state that IOS prints with each packet and in `show crypto isakmp sa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CoarseState {
    /// A first message, for which there is no SA yet.
    NewSa,
    /// MM1 has been sent.
    NoState,
    /// The proposal is agreed on.
    SaSetup,
    /// Keys are exchanged.
    KeyExchange,
    /// Aggressive mode: nothing has been sent.
    AggressiveNoState,
    /// Aggressive mode: the first messages are exchanged, and the SA is not authenticated.
    AggressiveInitExchange,
    /// Aggressive mode: the SA is authenticated.
    AggressiveAuthenticated,
    /// Phase 1 is complete.
    QuickModeIdle,
}

impl fmt::Display for CoarseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NewSa => "NEW SA",
            Self::NoState => "MM_NO_STATE",
            Self::SaSetup => "MM_SA_SETUP",
            Self::KeyExchange => "MM_KEY_EXCH",
            Self::AggressiveNoState => "AG_NO_STATE",
            Self::AggressiveInitExchange => "AG_INIT_EXCH",
            Self::AggressiveAuthenticated => "AG_AUTH",
            Self::QuickModeIdle => "QM_IDLE",
        })
    }
}

/// Where the input of a state machine came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MajorInput {
    /// Traffic needs an SA.
    FromIpsec,
    /// A message of the peer.
    FromPeer,
    /// The machine itself.
    Internal,
}

impl fmt::Display for MajorInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FromIpsec => "IKE_MESG_FROM_IPSEC",
            Self::FromPeer => "IKE_MESG_FROM_PEER",
            Self::Internal => "IKE_MESG_INTERNAL",
        })
    }
}

/// What the input of a state machine was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MinorInput {
    /// An SA is asked for.
    SaRequestMainMode,
    /// An SA is asked for, by aggressive mode.
    SaRequestAggressiveMode,
    /// An aggressive mode message.
    AggressiveModeExchange,
    /// A main mode message.
    MainModeExchange,
    /// Work on a main mode message.
    ProcessMainMode,
    /// The work is done.
    ProcessComplete,
    /// Phase 1 is complete.
    Phase1Complete,
    /// Start quick mode.
    InitiateQuickMode,
    /// A quick mode message.
    QuickModeExchange,
    /// An SPI has been chosen.
    GotSpi,
    /// A delete.
    Phase1Delete,
}

impl fmt::Display for MinorInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SaRequestMainMode => "IKE_SA_REQ_MM",
            Self::SaRequestAggressiveMode => "IKE_SA_REQ_AM",
            Self::AggressiveModeExchange => "IKE_AM_EXCH",
            Self::MainModeExchange => "IKE_MM_EXCH",
            Self::ProcessMainMode => "IKE_PROCESS_MAIN_MODE",
            Self::ProcessComplete => "IKE_PROCESS_COMPLETE",
            Self::Phase1Complete => "IKE_PHASE1_COMPLETE",
            Self::InitiateQuickMode => "IKE_INIT_QM",
            Self::QuickModeExchange => "IKE_QM_EXCH",
            Self::GotSpi => "IKE_GOT_SPI",
            Self::Phase1Delete => "IKE_PHASE1_DEL",
        })
    }
}
