"""A participant who publishes to this service over WebRTC."""

from collections.abc import Sequence

from aiortc import RTCIceCandidate, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError

from monitor.ingest.rtp.aiortc_adapter import accept_more_senders, offer_loopback
from monitor.ingest.webrtc.answer import with_bitrates, with_one_layer
from monitor.ingest.webrtc.peer_connection import Receiver, WebRtcOptions
from monitor.ingest.webrtc.whip_offer import UNREADABLE, Offer, OfferError
from monitor.types.protocols import Intake
from monitor.types.sampling import Sampling

__all__ = ["WebRtcOptions", "WebRtcSource", "offer_loopback"]


class WebRtcSource:
    """A participant who publishes by WHIP."""

    ingest = "whip"
    live = True

    def __init__(
        self,
        offer: Offer,
        participant: str,
        sampling: Sampling,
        video_width: int,
        options: WebRtcOptions,
    ) -> None:
        self._offer = offer
        self._options = options
        self.receiver = Receiver(participant, sampling, video_width, options)

    async def answer(self) -> str:
        """Apply the offer and return the SDP answer; raises OfferError if it does not fit."""
        accept_more_senders()
        connection = self.receiver.connection
        try:
            fitted = self._offer.fitted
            await connection.setRemoteDescription(RTCSessionDescription(fitted.sdp, "offer"))
            self.receiver.take()
            await connection.setLocalDescription(await connection.createAnswer())
        except (OperationError, InvalidStateError, *UNREADABLE) as error:
            await self.receiver.close()
            raise OfferError(422, "Offer not acceptable", f"sdp: {error}") from error
        options = self._options
        # Hints belong to what is received, so what is refused comes last.
        sdp = with_bitrates(
            fitted.profiled(connection.localDescription.sdp),
            options.start_bitrate,
            options.min_bitrate,
            options.max_bitrate,
        )
        return fitted.completed(with_one_layer(sdp, self._offer.sdp))

    @property
    def heard(self) -> bool:
        """Whether any media has come."""
        return self.receiver.received

    async def add_candidates(self, candidates: Sequence[RTCIceCandidate | None]) -> None:
        """Take trickled candidates."""
        fitted = self._offer.fitted
        for candidate in candidates:
            if candidate is not None:
                candidate.sdpMid, candidate.sdpMLineIndex = (
                    fitted.carried(candidate.sdpMid, candidate.sdpMLineIndex),
                    None,
                )
            await self.receiver.connection.addIceCandidate(candidate)

    async def discard(self) -> None:
        """Release a connection that was answered but will not be monitored."""
        await self.receiver.close()

    def hang_up(self, reason: str = "ended") -> None:
        """End the source: the client deleted its session."""
        self.receiver.hang_up(reason)

    async def run(self, intake: Intake) -> str:
        """Receive until the client leaves or falls silent for too long."""
        return await self.receiver.run(intake)
