// The button between light and dark. Until it is used the system decides.
import { replace, svg } from "./dom.js";

const KEY = "energy-chain theme";
const SUN = "M12 7a5 5 0 100 10 5 5 0 000-10zm0-5v2m0 16v2M2 12h2m16 0h2M4.900 4.900l1.400 1.400m11.400 11.400l1.400 1.400M4.900 19.100l1.400-1.400M17.700 6.300l1.400-1.400";
const MOON = "M20 14.500A8.500 8.500 0 019.500 4a8.500 8.500 0 1010.500 10.500z";

export function wireTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : system.matches;
  };
  const draw = () => {
    const next = isDark() ? "light" : "dark";
    button.setAttribute("aria-label", `Use the ${next} theme`);
    button.title = `Use the ${next} theme`;
    const line = svg("svg", { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true", class: "stroke" });
    line.append(svg("path", { d: isDark() ? SUN : MOON }));
    replace(button, line);
  };
  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // It then holds until the page is left.
    }
    draw();
  });
  system.addEventListener("change", draw);
  draw();
}
