/** How loud a track is, measured in this page. */

let shared: AudioContext | undefined;

/** The page's one audio context: browsers allow few, and start none before the user has done something. */
export function audioContext(): AudioContext {
  shared ??= new AudioContext();
  if (shared.state === "suspended") void shared.resume().catch(() => {});
  return shared;
}

export interface Meter {
  /** 0 (silence) to 1. */
  level(): number;
  close(): void;
}

const QUIETEST_DB = -60;

/** Listen to the microphone's track. Call `close` in the end. */
export function meter(track: MediaStreamTrack): Meter {
  const context = audioContext();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return {
    level() {
      if (context.state === "suspended") void context.resume().catch(() => {});
      analyser.getFloatTimeDomainData(samples);
      let power = 0;
      for (const sample of samples) power += sample * sample;
      return loudness(Math.sqrt(power / samples.length));
    },
    close() {
      source.disconnect();
      analyser.disconnect();
    },
  };
}

/** Ears hear ratios: return where between the quietest and full scale an amplitude is. */
export function loudness(amplitude: number): number {
  const decibels = 20 * Math.log10(Math.max(amplitude, 1e-6));
  return Math.min(1, Math.max(0, 1 - decibels / QUIETEST_DB));
}

/** Play two soft notes on a speaker; empty for whatever the system uses. */
export async function chime(speaker: string): Promise<void> {
  const context = audioContext();
  const out = context.createMediaStreamDestination();
  const gain = context.createGain();
  gain.connect(out);
  const now = context.currentTime;
  gain.gain.setValueAtTime(0, now);
  gain.gain.linearRampToValueAtTime(0.25, now + 0.03);
  gain.gain.exponentialRampToValueAtTime(0.001, now + 1.2);
  for (const [frequency, after] of [
    [523.25, 0],
    [783.99, 0.18],
  ] as const) {
    const tone = context.createOscillator();
    tone.frequency.value = frequency;
    tone.connect(gain);
    tone.start(now + after);
    tone.stop(now + 1.2);
  }
  const player = new Audio();
  player.srcObject = out.stream;
  if (speaker && "setSinkId" in player) await player.setSinkId(speaker);
  await player.play();
  await new Promise((resolve) => setTimeout(resolve, 1300));
  player.srcObject = null;
}
