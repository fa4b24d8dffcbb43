/** The format `text/event-stream`, as far as the server writes it: fields of a line each, an empty line ends a message. */

export interface ServerSent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** Takes the text as it comes, in pieces cut anywhere, and gives each message that is complete. */
export class Messages {
  #rest = "";
  #id: string | undefined;
  #event = "";
  #data: string[] = [];

  *take(piece: string): Generator<ServerSent> {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (message) yield message;
    }
  }

  #line(line: string): ServerSent | undefined {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined; // a comment: the server is there
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") this.#id = value;
    else if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    return undefined;
  }

  #end(): ServerSent | undefined {
    const [event, data] = [this.#event || "message", this.#data];
    this.#event = "";
    this.#data = [];
    return data.length > 0 || event !== "message"
      ? { id: this.#id, event, data: data.join("\n") }
      : undefined;
  }
}
