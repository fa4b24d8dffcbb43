/**
 * The form of the reference of this library: a page with a part for each layer, and no words that the code says already.
 *
 * A plugin of TypeDoc, on top of typedoc-plugin-markdown.
 */

import { basename } from "node:path";
import { Comment, CommentTag, Converter, ReflectionKind } from "typedoc";
import { MarkdownPageEvent, MarkdownTheme, MarkdownThemeContext } from "typedoc-plugin-markdown";

/** Which part a file's exports belong to. What is in none of these files is about calls. */
const PARTS = {
  Connection: ["connection", "reconnect", "token", "requests", "line", "emitter"],
  Rooms: ["room", "history", "posts", "membership", "ids"],
  Invitations: ["invitation"],
  Errors: ["errors"],
  Frames: ["frames"],
};
const partOf = Object.fromEntries(
  Object.entries(PARTS).flatMap(([part, files]) => files.map((f) => [f, part])),
);

const NOTICE =
  "(Written by `make sdk-docs` from the types. [The tutorial](../../tutorial.md) is a gentler beginning.)";

class Brief extends MarkdownThemeContext {
  constructor(...given) {
    super(...given);
    Object.assign(this.partials, {
      signatureReturns: () => "",
      inheritance: () => "",
      sources: () => "",
      accessor: ({ getSignature: signature }, { headingLevel }) =>
        [
          `\`\`\`ts\n${signature.name}: ${plain(this.partials.someType(signature.type))};\n\`\`\``,
          signature.comment ? this.partials.comment(signature.comment, { headingLevel }) : "",
        ].join("\n\n"),
    });
  }
}

class BriefTheme extends MarkdownTheme {
  getRenderContext(page) {
    return new Brief(this, page, this.application.options);
  }
}

export function load(app) {
  app.renderer.defineTheme("brief", BriefTheme);
  app.renderer.on(MarkdownPageEvent.END, (page) => {
    page.contents = page.contents.replace("\n", `\n\n${NOTICE}\n`);
  });
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const reflection of project.getReflectionsByKind(ReflectionKind.SomeExport)) {
      const file = basename(reflection.sources?.[0]?.fileName ?? "", ".ts");
      if (!reflection.comment && !reflection.signatures)
        app.logger.warn(`${reflection.name} has no comment.`);
      reflection.comment ??= new Comment();
      const part = partOf[file] ?? "Calls";
      reflection.comment.blockTags.push(new CommentTag("@category", [{ kind: "text", text: part }]));
    }
  });
}

/** Types as in code: without links and escapes. */
function plain(markdown) {
  return markdown.replace(/\[([^\]]+)\]\([^)]*\)/g, "$1").replace(/[`\\]/g, "");
}
