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
