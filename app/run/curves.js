// Draws panels with Plotly.react, so that a refresh changes the data and nothing else.

let loading = null;

function loadPlotly(url) {
  loading ??= window.Plotly
    ? Promise.resolve(window.Plotly)
    : import(new URL(url, window.location.href).href).then(() => window.Plotly);
  return loading;
}

// Colours and font of the page, light or dark, whichever the reader chose.
function pageStyle(element) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    paper_bgcolor: "rgba(0, 0, 0, 0)",
    plot_bgcolor: "rgba(0, 0, 0, 0)",
    font: { family: read("--st-font"), color: read("--st-text-color"), size: 12 },
    hoverlabel: {
      bgcolor: read("--st-secondary-background-color"),
      bordercolor: read("--st-border-color"),
      font: { family: read("--st-font"), color: read("--st-text-color") },
    },
  };
}

function makeFigure(panel) {
  const figure = document.createElement("figure");
  figure.dataset.panel = panel.key;
  const caption = document.createElement("figcaption");
  const plot = document.createElement("div");
  plot.className = "plot";
  plot.setAttribute("role", "group"); // not img: its tool bar can be focused
  figure.append(caption, plot);
  return figure;
}

// All figures stand in the grid before any is drawn: a plot takes the width that it finds.
function placeFigures(Plotly, curves, panels) {
  const known = new Map([...curves.children].map((child) => [child.dataset.panel, child]));
  const placed = panels.map((panel) => {
    const figure = known.get(panel.key) ?? makeFigure(panel);
    known.delete(panel.key);
    if (!figure.isConnected) curves.append(figure);
    return figure;
  });
  for (const gone of known.values()) {
    Plotly.purge(gone.querySelector(".plot"));
    gone.remove();
  }
  return placed;
}

function draw(Plotly, curves, data) {
  const figures = placeFigures(Plotly, curves, data.panels);
  const style = pageStyle(curves);
  data.panels.forEach((panel, position) => {
    const [caption, plot] = figures[position].children;
    caption.textContent = panel.title;
    plot.setAttribute("aria-label", panel.alt);
    const layout = { ...panel.figure.layout, ...style, autosize: true };
    Plotly.react(plot, panel.figure.data, layout, data.config);
  });
}

export default function ({ parentElement, data }) {
  const curves = parentElement.querySelector(".curves");
  loadPlotly(data.plotly).then(
    (Plotly) => curves.isConnected && draw(Plotly, curves, data),
    (error) => {
      curves.className = "failed";
      curves.textContent = `The charts could not be loaded (${error.message}); reload the page.`;
    },
  );
  return () => {
    if (!curves.isConnected && window.Plotly) {
      curves.querySelectorAll(".plot").forEach((plot) => window.Plotly.purge(plot));
    }
  };
}
