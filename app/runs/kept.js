// Have the browser keep which columns of the list were chosen in it.
export default function (component) {
  const { name, value } = component.data;
  document.cookie = `${name}=${value}; path=/; max-age=31536000; SameSite=Lax`;
}
