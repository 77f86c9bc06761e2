// Where the boxes of a graph go: pure, from names and edges to places. Layers by the longest way from a source; edges that
// pass a layer get a place in it, so they cross no box; a few sweeps put neighbours near each other.

const BOX = { width: 212, height: 66, between: 22, apart: 132, run: 78 };
// Where there is no room beside each other: one column, its edges in a gutter.
const COLUMN = { height: 66, between: 14, gutter: 58, lane: 11, lanes: 4 };

// `aside` are those that no edge leads to or from: they stand at the end.
function layout(names, aside, edges) {
  const depth = depths(names, edges);
  for (const name of aside) depth.set(name, Math.max(...depth.values()));
  const layers = [];
  const put = (name, at) => (layers[at] ??= []).push(name);
  for (const name of names) put(name, depth.get(name));
  const links = [], ways = new Map();
  for (const edge of edges) {
    const way = [edge.from];
    for (let at = depth.get(edge.from) + 1; at < depth.get(edge.to); at++) {
      const passing = "\u0000" + edge.from + "\u0000" + edge.to + "\u0000" + at;
      put(passing, at);
      way.push(passing);
    }
    way.push(edge.to);
    ways.set(edge, way);
    for (let index = 1; index < way.length; index++) links.push([way[index - 1], way[index]]);
  }
  sort(layers, links);
  return place(layers, ways);
}

// One below the other, in the order in which data passes them.
function column(names, aside, edges, width) {
  const depth = depths(names, edges), { height, between, gutter, lane, lanes } = COLUMN;
  for (const name of aside) depth.set(name, Infinity);
  const order = [...names].sort((a, b) => depth.get(a) - depth.get(b));
  const boxes = new Map(order.map((name, index) => [name, { x: gutter, y: index * (height + between) }]));
  const writers = [...new Set(edges.map((edge) => edge.from))];
  const ways = edges.map((edge) => {
    const x = gutter - 16 - writers.indexOf(edge.from) % lanes * lane;
    const [from, to] = [boxes.get(edge.from).y + height / 2 + 8, boxes.get(edge.to).y + height / 2 - 8];
    const path = "M" + gutter + " " + from + "H" + (x + 6) + "Q" + x + " " + from + " " + x + " " + (from + 6)
      + "V" + (to - 6) + "Q" + x + " " + to + " " + (x + 6) + " " + to + "H" + gutter;
    return { edge, path, tip: [gutter, to], label: null };
  });
  const size = { width: width - gutter, height };
  return { boxes, edges: ways, size, width, height: order.length * (height + between) - between };
}

function depths(names, edges) {
  const depth = new Map(names.map((name) => [name, 0]));
  // The graph has no cycle; should one come, the bound ends it.
  for (let round = 0; round < names.length; round++) {
    let changed = false;
    for (const { from, to } of edges) {
      if (depth.get(to) < depth.get(from) + 1 && depth.get(from) + 1 < names.length) {
        depth.set(to, depth.get(from) + 1);
        changed = true;
      }
    }
    if (!changed) break;
  }
  return depth;
}

function sort(layers, links) {
  const above = new Map(), below = new Map();
  const note = (map, key, value) => { if (!map.has(key)) map.set(key, []); map.get(key).push(value); };
  for (const [from, to] of links) { note(above, to, from); note(below, from, to); }
  const sweep = (order, near) => {
    const spot = new Map();
    for (const layer of order) {
      const middle = (name, index) => {
        const at = (near.get(name) ?? []).map((one) => spot.get(one)).filter((one) => one !== undefined);
        return at.length ? at.reduce((sum, one) => sum + one, 0) / at.length : index;
      };
      const keys = new Map(layer.map((name, index) => [name, middle(name, index)]));
      layer.sort((a, b) => keys.get(a) - keys.get(b));
      layer.forEach((name, index) => spot.set(name, index - (layer.length - 1) / 2));
    }
  };
  for (let round = 0; round < 4; round++) {
    sweep(layers, above);
    sweep([...layers].reverse(), below);
  }
  sweep(layers, above);
}

function place(layers, ways) {
  const step = BOX.height + BOX.between, stride = BOX.width + BOX.apart;
  const longest = Math.max(1, ...layers.map((layer) => layer.length));
  const boxes = new Map();
  layers.forEach((layer, depth) => layer.forEach((name, index) =>
    boxes.set(name, { x: depth * stride, y: ((longest - layer.length) / 2 + index) * step })));
  const edges = [...ways].map(([edge, way]) => {
    const points = pointsOf(way, boxes), tip = points[points.length - 1];
    // Where the edge comes in, so that labels of edges from one box lie apart.
    return { edge, path: curve(points), tip, label: [tip[0] - 44, tip[1] - 8] };
  });
  return { boxes, edges, size: BOX, width: layers.length * stride - BOX.apart, height: longest * step - BOX.between };
}

// Out of the right side, in at the left, through the middle of what is passed.
function pointsOf(way, boxes) {
  const points = [];
  way.forEach((name, index) => {
    const { x, y } = boxes.get(name), middle = y + BOX.height / 2;
    if (index > 0) points.push([x, middle]);
    if (index < way.length - 1) points.push([x + BOX.width, middle]);
  });
  return points;
}

// The last piece runs straight, so that a label has a line to stand on.
function curve(points) {
  let path = "M" + points[0].join(" ");
  for (let index = 1; index < points.length; index++) {
    const [[x, y], [u, v]] = [points[index - 1], points[index]];
    const t = index === points.length - 1 ? u - BOX.run : u, middle = (x + t) / 2;
    path += index % 2 === 0 ? "L" + u + " " + v : "C" + [middle, y, middle, v, t, v].join(" ") + "L" + u + " " + v;
  }
  return path;
}
