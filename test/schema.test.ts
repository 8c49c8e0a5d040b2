// The builders of schemas make the JSON that typebox's own make.

import t from "tap";
import { Type as Typebox } from "typebox";
import { compileSchema, Type } from "../src/schema.js";

/** One of each builder, with and without keywords, within each other. */
function schemasOf(T: typeof Type) {
  const whole = T.Integer({ minimum: 0, description: "whole" });
  const inner = T.Object({ name: T.String({ maxLength: 3 }), note: T.Optional(T.String()) });
  return {
    flags: T.Boolean({ default: false }),
    plain: [T.Boolean(), T.Integer(), T.Null(), T.Number(), T.String()],
    list: [T.Array(T.Number()), T.Array(inner, { minItems: 1 })],
    word: [T.Literal("auto"), T.Literal(7)],
    either: [T.Union([whole, T.Null()]), T.Union([T.Literal("auto"), whole], { default: "auto" })],
    none: T.Object({}, { additionalProperties: false }),
    optional: T.Object({ whole: T.Optional(whole) }),
    mixed: T.Object({ inner, list: T.Array(inner), whole: T.Optional(whole) }, { title: "mixed" }),
    asIs: T.Unsafe<"a">({ type: "string", enum: ["a"] } as never),
  };
}

t.test("the builders make what typebox's make", async (t) => {
  const own = schemasOf(Type);
  const theirs = schemasOf(Typebox as unknown as typeof Type);
  t.same(JSON.parse(JSON.stringify(own)), JSON.parse(JSON.stringify(theirs)));
  t.same(Object.keys(own.mixed), ["title", "type", "required", "properties"]);
});

t.test("what may be missing is not required, and all else is", async (t) => {
  const { check, problems } = compileSchema(schemasOf(Type).mixed);
  t.ok(check({ inner: { name: "a" }, list: [] }));
  t.ok(check({ inner: { name: "a", note: "b" }, list: [], whole: 1 }));
  t.same(
    problems({ inner: { name: "long" }, list: [{}], whole: -1 }).map(({ path, keyword }) => {
      return `${path} ${keyword}`;
    }),
    ["/inner/name maxLength", "/list/0 required", "/whole minimum"],
  );
});
