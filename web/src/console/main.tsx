import { render } from "preact";
import { Console } from "./console";
import { start } from "./router";
import { takeTokenOfAddress } from "./session";

takeTokenOfAddress();
start();
const root = document.getElementById("console");
if (root) render(<Console />, root);
