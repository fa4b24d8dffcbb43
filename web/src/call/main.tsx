import { render } from "preact";
import { App } from "./app";

const root = document.getElementById("app");
if (root) {
  render(<App />, root);
  performance.mark("interactive"); // it answers to the user from here on
}
