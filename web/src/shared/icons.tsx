/** Drawn here, so that no font and no other site is asked. Each is decoration: its button has the name. */

import type { ComponentChildren } from "preact";

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

const SLASH = <path d="M4 4l16 16" />;

export const Microphone = ({ off = false }) => (
  <Icon>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
    {off && SLASH}
  </Icon>
);

export const Camera = ({ off = false }) => (
  <Icon>
    <rect x="2.5" y="6" width="13" height="12" rx="3" />
    <path d="M15.5 10.5l6-3.5v10l-6-3.5" />
    {off && SLASH}
  </Icon>
);

export const Leave = () => (
  <Icon>
    <path d="M2.8 13.6c5.2-5.6 13.2-5.6 18.4 0 .6.7.6 1.4.1 2l-1.2 1.4c-.5.5-1.2.6-1.8.3l-2.7-1.3c-.6-.3-.9-.8-.9-1.4v-1.7a11 11 0 0 0-5.4 0v1.7c0 .6-.3 1.1-.9 1.4l-2.7 1.3c-.6.3-1.3.2-1.8-.3l-1.2-1.4c-.5-.6-.5-1.3.1-2z" />
  </Icon>
);

export const Bubble = () => (
  <Icon>
    <path d="M4 6.5a2.5 2.5 0 0 1 2.5-2.5h11A2.5 2.5 0 0 1 20 6.5v7a2.5 2.5 0 0 1-2.5 2.5H11l-5 4v-4a2 2 0 0 1-2-2z" />
  </Icon>
);

export const Screen = () => (
  <Icon>
    <rect x="2.5" y="4" width="19" height="13" rx="2.5" />
    <path d="M8 21h8M12 13V8M9.5 10.2L12 7.7l2.5 2.5" />
  </Icon>
);

export const People = () => (
  <Icon>
    <circle cx="9" cy="8" r="3.5" />
    <path d="M2.5 20a6.5 6.5 0 0 1 13 0M16 4.8a3.5 3.5 0 0 1 0 6.4M18.2 14.6a6.5 6.5 0 0 1 3.3 5.4" />
  </Icon>
);

export const Settings = () => (
  <Icon>
    <path d="M4 7h9M17 7h3M4 17h3M11 17h9" />
    <circle cx="15" cy="7" r="2" />
    <circle cx="9" cy="17" r="2" />
  </Icon>
);

export const Waves = () => (
  <Icon>
    <path d="M5 10v4M9.7 7v10M14.3 9v6M19 10.5v3" />
  </Icon>
);

export const Expand = () => (
  <Icon>
    <path d="M14 4h6v6M10 20H4v-6M20 4l-6.5 6.5M4 20l6.5-6.5" />
  </Icon>
);

export const Collapse = () => (
  <Icon>
    <path d="M20 10h-6V4M4 14h6v6M14 10l6.5-6.5M10 14l-6.5 6.5" />
  </Icon>
);

export const Speaker = () => (
  <Icon>
    <path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11" />
  </Icon>
);

export const Keyboard = () => (
  <Icon>
    <rect x="2.5" y="6" width="19" height="12" rx="2.5" />
    <path d="M6.5 10h.01M10 10h.01M14 10h.01M17.5 10h.01M8 14h8" />
  </Icon>
);

export const Clock = () => (
  <Icon>
    <circle cx="12" cy="12" r="8.5" />
    <path d="M12 7.5V12l3 2" />
  </Icon>
);

/** One to three bars of a connection. */
export const Bars = ({ full }: { full: number }) => (
  <svg class="icon bars" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    {[0, 1, 2].map((bar) => (
      <rect
        key={bar}
        class={bar < full ? "bar-full" : "bar-empty"}
        x={4 + bar * 6}
        y={14 - bar * 5}
        width="4"
        height={6 + bar * 5}
        rx="1.2"
      />
    ))}
  </svg>
);

export const Link = () => (
  <Icon>
    <path d="M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1" />
  </Icon>
);

export const Send = () => (
  <Icon>
    <path d="M4 12L20 4l-5 16-3.5-6.5z" />
  </Icon>
);

export const Close = () => (
  <Icon>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
);

export const Logo = () => (
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path
      d="M4 8a5 5 0 0 1 5-5h9a5 5 0 0 1 5 5v4a5 5 0 0 1-5 5h-6l-5 4.5V16.6A5 5 0 0 1 4 12z"
      class="logo-near"
    />
    <path
      d="M14 19h4a7 7 0 0 0 7-7v-1a4.6 4.6 0 0 1 4 4.6v4.6a4.6 4.6 0 0 1-3 4.3V29l-4.6-4H17a5 5 0 0 1-5-4.3z"
      class="logo-far"
    />
  </svg>
);
