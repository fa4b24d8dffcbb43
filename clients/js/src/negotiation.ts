/**
 * Perfect negotiation, as the W3C describes it, for one peer connection.
 *
 * Either side may start at any time. When both do, the impolite one ignores the other's
 * offer and the polite one takes its own back. Who is polite the server says.
 */

/** What goes from peer to peer through `signal`. */
export type SignalData =
  | { readonly description: RTCSessionDescriptionInit }
  | { readonly candidate: RTCIceCandidateInit };

export function isSignalData(data: unknown): data is SignalData {
  return typeof data === "object" && data !== null && ("description" in data || "candidate" in data);
}

/** Negotiate for `pc`. Returns what to do with what the other side signals. */
export function negotiate(
  pc: RTCPeerConnection,
  polite: boolean,
  send: (data: SignalData) => void,
): (data: SignalData) => Promise<void> {
  let makingOffer = false;
  let ignoringOffer = false;
  let settingAnswer = false;

  pc.onnegotiationneeded = async () => {
    try {
      makingOffer = true;
      await pc.setLocalDescription();
      if (pc.localDescription) send({ description: pc.localDescription.toJSON() });
    } finally {
      makingOffer = false;
    }
  };

  pc.onicecandidate = ({ candidate }) => {
    if (candidate) send({ candidate: candidate.toJSON() });
  };

  pc.oniceconnectionstatechange = () => {
    if (pc.iceConnectionState === "failed") pc.restartIce();
  };

  const described = async (description: RTCSessionDescriptionInit): Promise<void> => {
    const ready = !makingOffer && (pc.signalingState === "stable" || settingAnswer);
    ignoringOffer = !polite && description.type === "offer" && !ready;
    if (ignoringOffer) return;

    settingAnswer = description.type === "answer";
    try {
      await pc.setRemoteDescription(description);
    } finally {
      settingAnswer = false;
    }
    if (description.type !== "offer") return;
    await pc.setLocalDescription();
    if (pc.localDescription) send({ description: pc.localDescription.toJSON() });
  };

  return async (data) => {
    if ("description" in data) return described(data.description);
    try {
      await pc.addIceCandidate(data.candidate);
    } catch (error) {
      if (!ignoringOffer) throw error; // of an offer we have not taken we can't use the candidates
    }
  };
}
