// The protocol as a package, "tongka/protocol": everything a terminal or a tool needs to speak it.

export * from "./decode.js";
export * from "./encode.js";
export * from "./frame.js";
export * from "./frame-problem.js";
export * from "./kdf.js";
export * from "./mac.js";
export * from "./mac-algorithms.js";
export * from "./management.js";
export * from "./message.js";
export * from "./mti.js";
export * from "./outcome-record.js";
export * from "./pan.js";
export * from "./parameters.js";
export * from "./reason.js";
export * from "./use-record.js";
