// Every test of the app's own: what is decided without a screen.
import "./checkpoints";
import "./day";
import "./drafts";
import "./invitation";
import "./matching";
import "./merging";
import "./photos";
import "./transport";
import "./typed";
import "./vault";
import "./words";
import "./years";
