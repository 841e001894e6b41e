"""Where the prototypes of a track look (Figure 6): maps taken while tracking, drawn over frames."""
