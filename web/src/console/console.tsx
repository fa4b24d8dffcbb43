/** The frame around every screen: where one is, of which app, and as whom. */

import { useEffect, useState } from "preact/hooks";
import { Logo } from "../shared/icons";
import { go, href, type Place, place, SCREENS, type Screen } from "./router";
import { Call } from "./screens/call";
import { Calls } from "./screens/calls";
import { Charts } from "./screens/charts";
import { Connection } from "./screens/connection";
import { Connections } from "./screens/connections";
import { Messages } from "./screens/messages";
import { Overview } from "./screens/overview";
import { Room } from "./screens/room";
import { Rooms } from "./screens/rooms";
import { app, bound, choose, refusal, signOut, user } from "./session";
import { SignIn } from "./sign-in";

const NAMES: Readonly<Record<Screen, string>> = {
  overview: "Overview",
  connections: "Connections",
  rooms: "Rooms",
  calls: "Calls",
  messages: "Messages",
  charts: "Charts",
};

export function Console() {
  const refused = refusal.value;
  const { screen, id } = place.value;
  const title = [id, screen && NAMES[screen], "Parley console"].filter(Boolean).join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
  if (refused) return <SignIn refusal={refused} />;
  return (
    <div class="console">
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="console-head">
        <a class="brand" href={href("overview")}>
          <Logo /> Parley <span class="soft">console</span>
        </a>
        <nav aria-label="Screens">
          <ul class="screens">
            {SCREENS.map((name) => (
              <li key={name}>
                <a href={href(name)} aria-current={name === screen ? "page" : undefined}>
                  {NAMES[name]}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <Who />
      </header>
      <Main key={`${app.value} ${screen} ${id}`} place={place.value} />
    </div>
  );
}

/** A screen's heading takes the focus when one goes there, so that it is read out and Tab goes on from it. */
function Main({ place: at }: { place: Place }) {
  const [first] = useState(() => !document.querySelector("main"));
  useEffect(() => {
    if (!first) document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  }, []);
  return (
    <main id="main" tabIndex={-1}>
      <Shown {...at} />
    </main>
  );
}

function Shown({ screen, id }: Place) {
  switch (screen) {
    case "overview":
      return <Overview />;
    case "connections":
      return id === undefined ? <Connections /> : <Connection id={id} />;
    case "rooms":
      return id === undefined ? <Rooms /> : <Room name={id} />;
    case "calls":
      return id === undefined ? <Calls /> : <Call id={id} />;
    case "messages":
      return <Messages />;
    case "charts":
      return <Charts />;
    case undefined:
      return (
        <>
          <h1 tabIndex={-1}>There is no such screen</h1>
          <p>
            <a href={href("overview")}>The overview</a> leads on.
          </p>
        </>
      );
  }
}

/** The app, which a token says for itself; and whose token it is. */
function Who() {
  if (bound.value) {
    return (
      <p class="who">
        <span>
          App <b>{app.value}</b>
          {user.value && (
            <>
              {" "}
              as <b>{user.value}</b>
            </>
          )}
        </span>
        <button type="button" class="button" onClick={signOut}>
          Sign out
        </button>
      </p>
    );
  }
  return <ChooseApp />;
}

function ChooseApp() {
  const [name, write] = useState(app.value);
  useEffect(() => write(app.value), [app.value]);
  return (
    <form
      class="who"
      onSubmit={(event) => {
        event.preventDefault();
        choose(name.trim());
        go(href(place.value.screen ?? "overview"));
      }}
    >
      <label>
        <span>App</span>
        <input
          name="app"
          value={name}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => write(event.currentTarget.value)}
        />
      </label>
      {name.trim() !== app.value && (
        <button type="submit" class="button">
          Show
        </button>
      )}
    </form>
  );
}
